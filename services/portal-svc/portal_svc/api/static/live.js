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

  // Make `old` look like `fresh`; true if anything had to be touched. Rows are known by data-key.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return false;
    if (old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return true;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return true;
    }
    let touched = false;
    for (const { name } of [...old.attributes]) {
      if (fresh.hasAttribute(name)) continue;
      old.removeAttribute(name);
      touched = true;
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) === value) continue;
      old.setAttribute(name, value);
      touched = true;
    }
    return morphChildren(old, fresh) || touched;
  }

  const keyOf = (node) => node.dataset?.key;
  const isBlank = (node) => node.nodeType === Node.TEXT_NODE && !node.nodeValue.trim();
  const firstPart = (node) => {
    while (node && isBlank(node)) node = node.nextSibling;
    return node;
  };

  function morphChildren(old, fresh) {
    let touched = false;
    const wanted = [...fresh.childNodes].filter((node) => !isBlank(node));
    const kept = new Set(wanted.map(keyOf).filter(Boolean));
    const known = new Map();
    for (const child of [...old.children]) {
      const key = keyOf(child);
      if (!key) continue;
      if (kept.has(key)) {
        known.set(key, child);
      } else {
        child.remove();
        touched = true;
      }
    }
    let place = firstPart(old.firstChild);
    for (const node of wanted) {
      const key = keyOf(node);
      const same = key ? known.get(key) : place && !keyOf(place) ? place : null;
      if (!same) {
        old.insertBefore(node, place);
        if (key && known.size) show(node);
        touched = true;
        continue;
      }
      if (same === place) {
        place = firstPart(place.nextSibling);
      } else {
        old.insertBefore(same, place);
        touched = true;
      }
      touched = morph(same, node) || touched;
    }
    while (place) {
      const next = firstPart(place.nextSibling);
      place.remove();
      place = next;
      touched = true;
    }
    return touched;
  }

  // A row that has just come is tinted for a moment.
  function show(row) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    row.animate([{ backgroundColor: "#d9eeea", offset: 0 }], 4000);
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
      if (morphChildren(list, page.body)) {
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
