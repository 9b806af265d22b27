// Keeps a page's list up to date. The stream says only that something changed; the list is then
// fetched with the visitor's own rights, and only what differs is touched, so that focus, selection
// and scrolling stay where they are.
"use strict";

(() => {
  const list = document.getElementById("list");
  const live = document.getElementById("live");
  if (!list || !live || !window.EventSource) return;

  const LOOK_ANYWAY = 60_000; // milliseconds, should a word of change be lost
  const LONGEST_WAIT = 30_000;
  let source = null;
  let failures = 0;
  let busy = false;
  let again = false;
  let ended = false;

  const say = (text) => {
    if (live.textContent !== text) live.textContent = text;
  };

  function end() {
    ended = true;
    if (source) source.close();
    say(live.dataset.ended);
  }

  // Make `old` look like `fresh`. Rows are known by data-key.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    morphChildren(old, fresh);
  }

  const keyOf = (node) => (node.dataset ? node.dataset.key : undefined);

  function morphChildren(old, fresh) {
    const known = new Map();
    for (const child of old.children) {
      if (keyOf(child)) known.set(keyOf(child), child);
    }
    const wanted = [...fresh.childNodes];
    const kept = new Set(wanted.map(keyOf).filter(Boolean));
    for (const child of [...old.children]) {
      if (keyOf(child) && !kept.has(keyOf(child))) child.remove();
    }
    let place = old.firstChild;
    for (const node of wanted) {
      const key = keyOf(node);
      const same = key ? known.get(key) : place && !keyOf(place) ? place : null;
      if (!same) {
        if (key && known.size) node.classList.add("new");
        old.insertBefore(node, place);
        continue;
      }
      if (same !== place) old.insertBefore(same, place);
      place = same.nextSibling;
      morph(same, node);
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(list.dataset.list, { credentials: "same-origin" });
      if (answer.status === 401) {
        end();
        return;
      }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = document.createElement("div");
      fresh.append(...page.body.childNodes);
      const before = list.innerHTML;
      morphChildren(list, fresh);
      if (list.innerHTML !== before) {
        const time = new Date().toLocaleTimeString(document.documentElement.lang, {
          hour: "numeric",
          minute: "2-digit",
        });
        say(live.dataset.updated.replace("{time}", time));
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // A TypeError is fetch's for "no network".
    } finally {
      busy = false;
      if (again && !ended) {
        again = false;
        refresh();
      }
    }
  }

  // EventSource gives up for good after an HTTP error, so it is made anew by hand.
  function connect() {
    if (ended) return;
    source = new EventSource("/events");
    source.onopen = () => {
      if (failures) refresh(); // What happened meanwhile.
      failures = 0;
      live.dataset.state = "on";
      say(live.dataset.on);
    };
    source.addEventListener("changed", refresh);
    source.onerror = () => {
      source.close();
      failures += 1;
      if (failures > 1) {
        live.dataset.state = "lost";
        say(live.dataset.lost);
        refresh(); // Finds out whether the session has ended.
      }
      const wait = Math.min(500 * 2 ** failures, LONGEST_WAIT);
      setTimeout(connect, wait * (0.5 + Math.random()));
    };
  }

  connect();
  setInterval(refresh, LOOK_ANYWAY);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !ended) refresh();
  });
})();
