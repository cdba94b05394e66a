"""The window sends every record until it is committed, keeps its bounds, and lets live records overtake history."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.commit import Commit, CommitError, commit_of
from contract.ranges import RangeSet
from edge_agent.uplink.window import HISTORY_EVERY, ForeignCommitError, Window

EPOCH = "e"
SIZE = 100


class Gateway:
    """A journal that is a set of ids, a window over it, and a host that stores what it is told to receive."""

    def __init__(self, kept: int, **bounds: float) -> None:
        self.kept = set(range(1, kept + 1))
        self.next_id = kept + 1
        self.now_s = 0.0
        self.window = Window(EPOCH, **bounds)  # type: ignore[arg-type]
        self.window.begin(1, self.next_id)

    def append(self, count: int) -> None:
        self.kept |= set(range(self.next_id, self.next_id + count))
        self.next_id += count
        self.window.appended(self.next_id)

    def send(self) -> list[tuple[str, int]]:
        """One fetch, as the uplink does it."""
        fetch = self.window.next(self.now_s)
        if fetch is None:
            return []
        assert fetch.limit <= 400
        found = sorted(i for i in self.kept if fetch.first <= i <= fetch.last)[: fetch.limit]
        sent = []
        handled = 0
        for record_id in found:
            if self.window.wants(fetch, (record_id, record_id)):
                if not self.window.has_room(fetch.lane):
                    break
                self.window.sent((record_id, record_id), SIZE, self.now_s)
                sent.append((fetch.lane, record_id))
            handled += 1
        self.window.fetched(fetch, [(i, i) for i in found], handled)
        return sent

    def commit(self, stored: set[int]) -> None:
        word = commit_of(EPOCH, RangeSet((i, i) for i in stored))
        if self.window.committed(word, self.now_s):
            gone = RangeSet([(0, word.below - 1), *word.ranges])
            self.kept = {i for i in self.kept if i not in gone}


@settings(max_examples=60, deadline=None)
@given(
    kept=st.integers(0, 300),
    appended=st.lists(st.integers(0, 60), max_size=8),
    lost=st.sets(st.integers(1, 700), max_size=60),
    records_max=st.integers(8, 150),
)
def test_everything_is_committed_although_the_network_loses(
    kept: int, appended: list[int], lost: set[int], records_max: int
) -> None:
    gateway, stored, lost = Gateway(kept, records_max=records_max, resend_after_s=1.0), set[int](), set(lost)
    for step in range(1_000):
        if step < len(appended):
            gateway.append(appended[step])
        for _, record_id in gateway.send():
            if record_id in lost:
                lost.remove(record_id)
            else:
                stored.add(record_id)
            assert gateway.window.in_flight <= records_max
        gateway.commit(stored)
        gateway.now_s += 0.5
        if step >= len(appended) and not gateway.kept:
            break
    assert stored == set(range(1, gateway.next_id))
    assert not gateway.kept
    assert gateway.window.in_flight == 0


def test_live_records_overtake_history() -> None:
    gateway = Gateway(10_000, records_max=200)
    for _ in range(20):
        gateway.send()
    assert gateway.window.in_flight == 150, "history leaves a quarter of the window free"
    gateway.append(3)
    assert [lane for lane, _ in gateway.send()] == ["live"] * 3


def test_nothing_more_is_sent_when_the_window_is_full_by_count_or_by_bytes() -> None:
    by_count, by_bytes = Gateway(0, records_max=10), Gateway(0, bytes_max=5 * SIZE)
    for gateway, most in ((by_count, 10), (by_bytes, 5)):
        gateway.append(1_000)
        sent = [sent for _ in range(5) for sent in gateway.send()]
        assert len(sent) == most


def test_what_is_not_committed_goes_out_again_oldest_first_with_growing_patience() -> None:
    gateway = Gateway(0, resend_after_s=1.0)
    gateway.append(3)
    assert gateway.send() == [("live", 1), ("live", 2), ("live", 3)]
    assert gateway.send() == []
    gateway.now_s = 1.0
    assert gateway.send() == [("resend", 1), ("resend", 2), ("resend", 3)]
    gateway.now_s = 2.5
    assert gateway.send() == [], "patience has doubled"
    gateway.now_s = 3.0
    assert len(gateway.send()) == 3
    gateway.commit({2})
    gateway.commit({2})
    assert gateway.window.settled == 1, "each record counts once"
    gateway.now_s = 4.0
    assert gateway.send() == [("resend", 1), ("resend", 3)], "a commit restores patience"


def test_a_whole_window_that_was_lost_goes_out_again_in_one_round_and_only_then_patience_doubles() -> None:
    gateway = Gateway(0, resend_after_s=1.0, records_max=2_000)
    gateway.append(2_000)
    while gateway.send():
        pass
    assert gateway.window.in_flight == 2_000
    gateway.now_s = 1.0
    again: list[int] = []
    while sent := gateway.send():
        again += [record_id for _, record_id in sent]
    assert again == list(range(1, 2_001)), "each once, at once"
    gateway.now_s = 2.9
    assert gateway.send() == []
    gateway.now_s = 3.0
    assert len(gateway.send()) == 100


def test_what_a_new_session_sends_again_is_told_apart_from_what_goes_out_first() -> None:
    window = Window(EPOCH, 1)
    window.begin(1, 3)
    assert [window.sent((1, 1), SIZE, 0.0), window.sent((2, 2), SIZE, 0.0)] == [False, False]
    window.begin(1, 4)
    assert [window.sent((i, i), SIZE, 1.0) for i in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize(
    "commit",
    [Commit("other", 2), Commit(EPOCH, 5), Commit(EPOCH, 1, ((3, 4),))],
    ids=["another epoch", "beyond what was given", "a range beyond what was given"],
)
def test_a_commit_that_cannot_be_true_forgets_nothing(commit: Commit) -> None:
    gateway = Gateway(3)
    gateway.send()
    with pytest.raises(CommitError):
        gateway.window.committed(commit, gateway.now_s)
    assert gateway.window.in_flight == 3


def test_a_flood_of_live_records_does_not_starve_history() -> None:
    gateway, sent_of_history = Gateway(500, records_max=100), 0
    for _ in range(20 * HISTORY_EVERY):
        gateway.append(100)
        sent = gateway.send()
        sent_of_history += sum(lane == "history" for lane, _ in sent)
        gateway.window.committed(commit_of(EPOCH, RangeSet([(i, i) for _, i in sent])), gateway.now_s)
    assert sent_of_history == 500


def test_a_commit_of_ids_that_were_never_sent_from_here_tells_that_the_journal_is_an_old_copy() -> None:
    window = Window(EPOCH, own_from=11)
    window.begin(8, 11)
    assert window.committed(Commit(EPOCH, 11), 0.0), "what was there before this program started may be anybody's"
    window.appended(14)
    window.sent((11, 11), SIZE, 0.0)
    assert window.committed(Commit(EPOCH, 12), 0.0)
    with pytest.raises(ForeignCommitError):
        window.committed(Commit(EPOCH, 13), 0.0)
    with pytest.raises(ForeignCommitError):
        window.committed(Commit(EPOCH, 12, ((40, 60),)), 0.0)
    window.renew("e2", 1)
    assert not window.committed(Commit("e2", 1), 0.0), "the new epoch begins with nothing durable"


def test_without_a_commit_what_was_sent_long_enough_ago_settles_in_order() -> None:
    gateway = Gateway(0, resend_after_s=float("inf"))
    gateway.append(2)
    gateway.send()
    gateway.now_s = 20.0
    gateway.append(1)
    gateway.send()
    gateway.now_s = 30.0
    assert list(gateway.window.settle(gateway.now_s, after_s=30.0)) == [(1, 2)]
    assert (gateway.window.in_flight, gateway.window.settled) == (1, 2)
    assert gateway.send() == [], "nothing is sent again while the connection holds"


def test_a_host_that_lost_records_gets_them_again() -> None:
    gateway = Gateway(0)
    gateway.append(10)
    gateway.send()
    gateway.commit(set(range(1, 9)))
    gateway.kept |= set(range(4, 9))
    gateway.window.replay(4)
    assert gateway.send() == [("history", 4), ("history", 5), ("history", 6), ("history", 7), ("history", 8)]
