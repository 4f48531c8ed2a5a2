"""Bad credentials are cheap, whoever shows them, and however many (B18).

Stories of floods: what they cost, and what those see who are honest, elsewhere or at
the same address. The pipeline is a worker's, the endpoint a real server.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.ask_line import ASKS, MAX_WAITING
from edge.access.check_budget import CheckBudget
from edge.access.revocations import RevokedBy
from edge.access.verdicts import MAX_NO
from edge.core.errors import EdgeError
from edge.policy.streams.authorize import Denied
from edge.policy.streams.pipeline import Resolved
from edge.policy.streams.ways import (
    ForwardWay,
    JwksUrl,
    OriginWay,
    Secret,
    SignedWay,
)
from tests.access.endpoint import Asked, Endpoint, Gate, said, until
from tests.access.issuer import NOW, SECRET, WAY, jwk, jwks, shared, token
from tests.access.issuer import said as claims

ROOM = "/v1/stream/rooms/"
HERE, THERE = "192.0.2.1", "192.0.2.2"
JWT = replace(WAY, keys=(Secret(SECRET),), algorithms=("HS256",))
KEYS = jwks(jwk("p256", kid="p256"))
LIMITED = "limit-denied"


@pytest.fixture
def asked(asked: Endpoint) -> Endpoint:
    """Lets in whose token begins with ``good``, and nobody else."""
    asked.answer = _by_name
    return asked


def _by_name(one: Asked) -> bytes:
    if one.target.partition("?")[0].endswith("absent"):
        return said(404)
    good = one.fields.get("authorization", "").startswith("Bearer good")
    return said(200 if good else 401)


def by_token() -> Gate:
    made = Gate("http://127.0.0.1:9", (JWT,))
    made.clock.unix = NOW
    return made


def bearer(text: object) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


_FORGED = shared().rpartition(".")[0]


def forged(number: int) -> dict[str, str]:
    """A good token with a signature that somebody made up."""
    return bearer(f"{_FORGED}.{number:042}A")


def word(found: Resolved | Denied | EdgeError | None) -> str:
    """How somebody fared: ``in``, or the reason why not."""
    assert found is not None
    return "in" if isinstance(found, Resolved) else found.reason.value


def remembered(gate: Gate) -> int:
    """How many verdicts are."""
    return len(gate.authorizer._judges.verdicts)


# By keys.


def test_of_100_000_bad_tokens_in_a_minute_from_one_address_700_are_checked() -> None:
    """And the viewer behind the same address that was let in notices nothing: neither
    where it is nor on its way to other streams."""
    gate, words, viewer = by_token(), Counter[str](), bearer(shared())
    assert word(gate.ask(ROOM, HERE, **viewer)) == "in"
    for number in range(100_000):
        words[word(gate.ask(ROOM, HERE, **forged(number)))] += 1
        gate.clock.move(60 / 100_000)
        if number % 1000 == 999:
            assert word(gate.ask(ROOM, HERE, **viewer)) == "in"
            assert word(gate.ask(f"{ROOM}{number}", HERE, **viewer)) == "in"

    assert set(words) == {LIMITED, "token-signature"}
    assert 690 <= words["token-signature"] <= 700
    assert remembered(gate) <= 101 + 700


def test_of_a_flood_from_1_000_addresses_the_memory_is_bounded() -> None:
    """Each address is within its bound, so each is told what is wrong. They push out
    each other, and nobody who was let in."""
    gate, words, viewer = by_token(), Counter[str](), bearer(shared())
    assert word(gate.ask(ROOM, HERE, **viewer)) == "in"
    for number in range(2 * MAX_NO):
        address = f"198.51.{number % 1000 // 250}.{number % 250}"
        words[word(gate.ask(ROOM, address, **forged(number)))] += 1

    assert set(words) == {"token-signature"}
    assert remembered(gate) == MAX_NO + 1
    assert isinstance(gate.at_once(ROOM, HERE, **viewer), Resolved)


def test_a_crowd_that_waits_for_its_turn_of_the_loop_is_looked_at_then() -> None:
    """1: five hundred come, and all but one stand in line; 2: one after the other is
    checked; 3: a hundred were bad, so nobody else of them is checked."""
    gate = Gate("http://127.0.0.1:9", (JWT,), budget=CheckBudget(1))
    gate.clock.unix = NOW
    crowd = [gevent.spawn(gate.ask, ROOM, HERE, **forged(n)) for n in range(500)]
    gevent.joinall(crowd, raise_error=True)

    words = Counter(word(one.value) for one in crowd)
    assert words == {"token-signature": 100, LIMITED: 400}


def test_what_is_remembered_is_told_however_often() -> None:
    """It costs nothing, and a client that shows one bad token must hear that it is."""
    gate, words = by_token(), Counter[str]()
    for _ in range(300):
        words[word(gate.ask(ROOM, HERE, **forged(1)))] += 1
    for number in range(200):
        gate.ask(ROOM, HERE, **forged(number))

    assert words == {"token-signature": 300}
    assert word(gate.ask(ROOM, HERE, **forged(500))) == LIMITED
    assert word(gate.ask(ROOM, HERE, **forged(1))) == "token-signature"


def test_an_honest_newcomer_behind_the_same_address_is_told_when_to_come_back() -> None:
    """That is the price: nobody can tell it from the one who makes up tokens. It is let
    in as soon as one *no* is to be had there again."""
    gate, viewer = by_token(), bearer(shared())
    for number in range(200):
        gate.ask(ROOM, HERE, **forged(number))
    told = gate.ask(ROOM, HERE, **viewer)

    assert isinstance(told, EdgeError)
    assert (told.status, word(told), told.retry_after) == (429, LIMITED, 1)
    assert word(gate.ask(ROOM, THERE, **viewer)) == "in"
    other = bearer(shared(claims(sub="bob")))
    assert word(gate.ask(ROOM, HERE, **other)) == LIMITED
    gate.clock.move(0.1)
    assert word(gate.ask(ROOM, HERE, **other)) == "in"


def test_a_network_of_ipv6_is_one_client() -> None:
    gate, words = by_token(), Counter[str]()
    for number in range(300):
        address = f"2001:db8::{number:x}"
        words[word(gate.ask(ROOM, address, **forged(number)))] += 1

    assert words == {"token-signature": 100, LIMITED: 200}


def test_a_thousand_tokens_that_end_at_once_behind_one_address_are_all_told() -> None:
    """401, so that they fetch new ones; and those are let in."""
    gate = by_token()
    crowd = [bearer(shared(claims(sub=f"viewer {n}"))) for n in range(300)]
    for viewer in crowd:
        assert word(gate.ask(ROOM, HERE, **viewer)) == "in"
    gate.clock.move(700.0)
    assert {word(gate.ask(ROOM, HERE, **one)) for one in crowd} == {"token-expired"}

    newer = claims(exp=int(NOW) + 2000, iat=int(NOW) + 700)
    for number in range(300):
        viewer = bearer(shared(newer | {"sub": f"viewer {number}"}))
        assert word(gate.ask(ROOM, HERE, **viewer)) == "in"


def test_signed_urls_have_the_same_bound() -> None:
    link = SignedWay((("k1", b"a key of the tests, which has 32 b."),))
    gate, words = Gate("http://127.0.0.1:9", (link,)), Counter[str]()
    for number in range(200):
        target = f"{ROOM}?ds_sig={number:043}&ds_exp={int(NOW) + 60}&ds_key=k1"
        words[word(gate.ask(target, HERE))] += 1

    assert words == {"link-signature": 100, LIMITED: 100}


# By others.


def test_an_endpoint_is_asked_about_bad_tokens_by_the_hundred(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """Refused at once, on the event loop's callback too; who was let in is asked about
    whatever others show."""
    gate, words = gate_of(ForwardWay(asked.url, timeout=60.0)), Counter[str]()
    assert word(gate.ask(ROOM, HERE, **bearer("good"))) == "in"
    for number in range(3000):
        words[word(gate.ask(ROOM, HERE, **bearer(number)))] += 1

    assert words == {"access-refused": 100, LIMITED: 2900}
    assert len(asked.asked) == 101
    with pytest.raises(EdgeError, match="bad credentials"):
        gate.at_once(ROOM, HERE, **bearer("new"))
    assert word(gate.ask(f"{ROOM}b", HERE, **bearer("good"))) == "in"
    assert word(gate.ask(ROOM, HERE, **bearer("good 2"))) == LIMITED
    assert word(gate.ask(ROOM, THERE, **bearer("good 2"))) == "in"
    # What is remembered of it holds at any address.
    assert word(gate.ask(ROOM, HERE, **bearer("good 2"))) == "in"


def test_a_crowd_that_stands_in_line_is_looked_at_when_its_turn_comes(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """Nobody of it was found to be bad when it came. 1: a thousand come; 2: twenty-four
    are asked about; 3: these are bad, and so are the next ones, until a hundred are."""
    asked.may.clear()
    gate = gate_of(ForwardWay(asked.url, timeout=60.0))
    crowd = [
        gevent.spawn(gate.ask, ROOM, HERE, **bearer(number)) for number in range(1000)
    ]
    until(lambda: asked.most == 24)
    asked.may.set()
    gevent.joinall(crowd, raise_error=True)
    words = Counter(word(one.value) for one in crowd)

    assert set(words) == {"access-refused", LIMITED}
    assert 100 <= words["access-refused"] <= 100 + 24
    assert len(asked.asked) == words["access-refused"]
    assert asked.most == 24


def test_of_a_flood_from_1_000_addresses_few_are_asked_about_at_a_time(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """A bounded number waits, and the others are told so; who was let in is renewed
    beside them."""
    gate = gate_of(ForwardWay(asked.url, timeout=60.0, cache=10.0))
    # Four thousand asks take longer than that on a busy machine, and none is given up.
    [line] = gate.authorizer._judges._lines.values()
    line._patience = 60.0
    assert word(gate.ask(ROOM, HERE, **bearer("good"))) == "in"
    asked.may.clear()

    def address(number: int) -> str:
        return f"198.51.{number % 1000 // 250}.{number % 250}"

    crowd = [
        gevent.spawn(gate.ask, ROOM, address(number), **bearer(number))
        for number in range(4500)
    ]
    until(lambda: asked.most == ASKS // 2)
    gate.clock.move(10.0)
    again = gevent.spawn(gate.ask, ROOM, HERE, **bearer("good"))
    until(lambda: asked.most == ASKS // 2 + 1)
    asked.may.set()
    gevent.joinall([*crowd, again], raise_error=True)
    words = Counter(word(one.value) for one in crowd)

    assert word(again.value) == "in"
    assert words == {
        "access-refused": MAX_WAITING + ASKS // 2,
        "access-busy": 4500 - MAX_WAITING - ASKS // 2,
    }
    assert asked.most <= ASKS
    assert remembered(gate) <= MAX_NO + 1


def test_one_credential_at_two_addresses_is_judged_for_the_one_that_may(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """1: one at a bad address owns the ask, and waits in line; 2: another one, from
    elsewhere, waits for the same; 3: the first is refused for its address."""
    asked.may.clear()
    gate = gate_of(OriginWay())
    crowd = [gevent.spawn(gate.ask, ROOM, HERE, **bearer(n)) for n in range(200)]
    until(lambda: asked.most == 24)
    owner = gevent.spawn(gate.ask, ROOM, HERE, **bearer("good"))
    gevent.sleep(0)
    joined = gevent.spawn(gate.ask, ROOM, THERE, **bearer("good"))
    gevent.sleep(0)
    asked.may.set()
    gevent.joinall([*crowd, owner, joined], raise_error=True)

    assert (word(owner.value), word(joined.value)) == (LIMITED, "in")


def test_that_a_stream_is_absent_is_no_fault_of_a_good_credential(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """Viewers that wait for a stream to be made are asked about each time. Whoever
    makes up credentials to ask for absent ones is not."""
    gate, words = gate_of(OriginWay()), Counter[str]()
    assert word(gate.ask(ROOM, HERE, **bearer("good"))) == "in"
    for number in range(200):
        words[word(gate.ask(f"{ROOM}absent", HERE, **bearer(number)))] += 1
    assert words == {"access-absent": 100, LIMITED: 100}

    for _ in range(200):
        found = gate.ask(f"{ROOM}absent", HERE, **bearer("good"))
        assert word(found) == "access-absent"


def test_no_answer_is_no_fault_of_anybody(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """While the endpoint is away, a crowd hears that it is, and then is let in."""
    gate = gate_of(ForwardWay(asked.url, timeout=60.0))
    asked.answer = lambda one: said(503)
    words = Counter(
        word(gate.ask(ROOM, HERE, **bearer(f"good {number}"))) for number in range(200)
    )
    assert words == {"access-unavailable": 200}
    asked.answer = _by_name

    assert word(gate.ask(ROOM, HERE, **bearer("good"))) == "in"


def test_who_shows_nothing_is_counted_as_well_where_that_is_asked_about(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """Made up paths cost an ask each. One who has a credential is let in beside it."""
    gate, words = gate_of(ForwardWay(asked.url, timeout=60.0)), Counter[str]()
    assert word(gate.ask(ROOM, HERE, **bearer("good"))) == "in"
    for number in range(200):
        words[word(gate.ask(f"{ROOM}{number}", HERE))] += 1

    assert words == {"access-refused": 100, LIMITED: 100}
    assert word(gate.ask(f"{ROOM}b", HERE, **bearer("good"))) == "in"


def test_who_shows_nothing_and_is_let_in_somewhere_is_not_known_everywhere(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """An endpoint may let everybody read one stream: that is nobody's credential."""
    gate, words = gate_of(ForwardWay(asked.url, timeout=60.0)), Counter[str]()
    asked.answer = lambda one: said(
        200 if one.fields["x-forwarded-uri"] == ROOM else 401
    )
    for number in range(200):
        assert word(gate.ask(ROOM, HERE)) == "in"
        words[word(gate.ask(f"{ROOM}{number}", HERE))] += 1

    assert words == {"access-refused": 100, LIMITED: 100}


def test_after_an_order_to_revoke_viewers_are_asked_about_before_a_flood(
    asked: Endpoint, gate_of: Callable[..., Gate]
) -> None:
    """B13 has all be asked anew. 1: forty were let in; 2: strangers take all that new
    ones may; 3: an order is given; 4: those forty come, and find the other half."""
    gate = gate_of(ForwardWay(asked.url, timeout=60.0))
    viewers = [bearer(f"good {number}") for number in range(40)]
    for viewer in viewers:
        assert word(gate.ask(ROOM, HERE, **viewer)) == "in"
    asked.may.clear()
    flood = [
        gevent.spawn(gate.ask, ROOM, f"198.51.100.{n}", **bearer(n)) for n in range(200)
    ]
    until(lambda: asked.most == 32)
    gate.revoker.revoke(RevokedBy.SUBJECT, "somebody")
    again = [gevent.spawn(gate.ask, ROOM, HERE, **viewer) for viewer in viewers]
    until(lambda: asked.most == 64)
    asked.may.set()
    gevent.joinall([*flood, *again], raise_error=True)

    assert {word(one.value) for one in again} == {"in"}


def test_who_makes_up_keys_is_counted_though_nobody_knows_if_they_are_bad() -> None:
    """Such a token waits for newer keys, and hears 503 while there are none."""
    way = replace(WAY, keys=(JwksUrl("https://issuer.example/keys"),))
    gate = Gate("http://127.0.0.1:9", (way,), fetch=lambda url: KEYS)
    gate.clock.unix = NOW
    assert word(gate.ask(ROOM, HERE, **bearer(token()))) == "in"
    words = Counter(
        word(gate.ask(ROOM, HERE, **bearer(token(header={"kid": f"key {number}"}))))
        for number in range(200)
    )

    assert words == {"keys-unavailable": 100, LIMITED: 100}


STORY = st.lists(
    st.tuples(
        st.sampled_from((HERE, THERE, "")),
        st.sampled_from(("viewer", "ended", "newcomer", "forged")),
        st.integers(0, 400),
        st.sampled_from(("", "a", "b")),
        st.sampled_from((0.0, 0.0, 0.05, 0.3)),
    ),
    min_size=1,
    max_size=400,
)


@given(story=STORY)
@settings(max_examples=30, deadline=None)
def test_whatever_the_flood_whoever_was_let_in_stays(
    story: list[tuple[str, str, int, str, float]],
) -> None:
    """B18 as a law, by a worker's own pipeline.

    - A viewer who was let in is let in everywhere, at each address.
    - An ended token is told so: never a *yes*, whatever else is shown.
    - A newcomer is let in or told to come back, and never that its token is bad.
    - What is forged is never let in; and of each client it is checked a hundred times
      at once at most, and then by the time that has passed.
    """
    gate, numbers = by_token(), count()
    viewer = bearer(shared())
    assert word(gate.ask(ROOM, HERE, **viewer)) == "in"
    checked: Counter[str] = Counter()
    for client, kind, number, path, pause in story:
        gate.clock.move(pause)
        match kind:
            case "viewer":
                assert word(gate.ask(ROOM + path, client, **viewer)) == "in"
            case "ended":
                ended = bearer(shared(claims(exp=int(NOW) - 60, sub=str(number))))
                found = word(gate.ask(ROOM + path, client, **ended))
                assert found in ("token-expired", LIMITED)
            case "newcomer":
                new = bearer(shared(claims(sub=str(number))))
                assert word(gate.ask(ROOM + path, client, **new)) in ("in", LIMITED)
            case _:
                for fields in map(forged, islice(numbers, 40)):
                    found = word(gate.ask(ROOM + path, client, **fields))
                    assert found in ("token-signature", LIMITED)
                    checked[client] += found == "token-signature"
        passed = gate.clock.wall() - NOW
        assert max(checked[HERE], checked[THERE]) <= 100 + 10 * passed
