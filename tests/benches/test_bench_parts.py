"""What the benches' figures rest on: moments, percentiles, memory, HTTP, the peer's patch."""

import itertools
import statistics

import pytest
from handoff_kit import outbox
from handoff_kit.wakes import Wakes

from bench.importing.files import head, rows
from bench.latency.arrivals import arrivals, percentile
from bench.latency.lines import Endpoint, Lines
from bench.latency.polled import poll
from bench.processes import pss_bytes
from bench.stand import free_port


def test_arrivals_come_at_their_rate_with_uneven_gaps_and_the_same_each_time():
    moments = arrivals(200, 50, seed=1)
    assert moments == arrivals(200, 50, seed=1) == sorted(moments)
    assert moments != arrivals(200, 50, seed=2)
    assert moments[0] > 0
    assert moments[-1] < 50
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    # A Poisson process: gaps deviate as much as they last.
    assert statistics.stdev(gaps) == pytest.approx(1 / 200, rel=0.05)


@pytest.mark.parametrize(
    ("share", "found"), [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100), (0.0, 1)]
)
def test_a_percentile_is_a_value_that_was_measured(share, found):
    assert percentile([*range(51, 101), *range(1, 51)], share) == found


def test_a_percentile_of_one_and_of_none():
    assert percentile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_pss_is_not_its_parts():
    rollup = "5581-7ffd ---p 0 00:00 0 [rollup]\nRss: 900 kB\nPss: 410 kB\nPss_Dirty: 9 kB\n"
    assert pss_bytes(rollup) == 410 * 1024
    with pytest.raises(ValueError, match="Pss"):
        pss_bytes("Rss: 900 kB\n")


def test_polling_wakes_no_relay_and_every_reader(monkeypatch):
    monkeypatch.setattr(Wakes, "wake", Wakes.wake)  # `poll` sets both; undone with the test.
    monkeypatch.setattr(outbox, "POLL_SECONDS", outbox.POLL_SECONDS)
    poll()
    wakes = Wakes()
    relay, reader = wakes.subscribe(["outbox:intake"]), wakes.subscribe(["topic:handoff.offers"])
    wakes.wake("outbox:intake")
    wakes.wake("topic:handoff.offers")
    assert (relay.is_set(), reader.is_set()) == (False, True)
    assert outbox.POLL_SECONDS == 0.5


async def test_lines_and_endpoint_speak_http_and_lines_are_used_again():
    got = []
    endpoint = Endpoint(free_port(), lambda at, head, body: got.append((at, head, body)))
    await endpoint.start()
    lines = Lines(endpoint.port)
    try:
        for body in (b"", b"x" * 70_000):
            request = b"POST /hook HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            assert await lines.ask(request) == (204, b"")
    finally:
        lines.close()
        endpoint.close()
    assert [body for _, _, body in got] == [b"", b"x" * 70_000]
    assert got[0][0] < got[1][0]
    assert lines.made == 1


def test_a_file_s_head_has_whole_rows_and_short_rows_are_filled(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text('\ufeffa,b,c\n1,"two\nlines",3\n4\n\n7,8,9\n', encoding="utf-8")
    filled = [["1", "two\nlines", "3"], ["4", "", ""], ["7", "8", "9"]]
    assert rows(path) == (["a", "b", "c"], filled)
    assert rows(head(path, 2, tmp_path / "head.csv"))[1] == filled[:2]
