"""The web examples, as real servers on loopback: what a client sees."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aprover

from .support.web import Server, running

EXAMPLES = ("web_fastapi", "web_trio")
LARGE = 2**19
HONEST = aprover.prove_sync(aprover.Fibonacci(20))


@pytest.fixture(scope="module", params=EXAMPLES)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param) as server:
        yield server


class TestAnswers:
    def test_a_proof_comes_as_its_bytes_and_the_second_time_from_the_cache(self, server: Server) -> None:
        """Whoever gets it can check it."""
        first = server.ask("/prove/100")
        hits = server.statistics()["hits"]
        again = server.ask("/prove/100")
        assert (first.status, first.headers["content-type"]) == (200, "application/octet-stream")
        assert aprover.verify(first.body, aprover.Fibonacci(100).statement())
        assert again.body == first.body
        assert server.statistics()["hits"] == hits + 1

    def test_the_security_that_is_asked_for_is_given(self, server: Server) -> None:
        """A small shape has more than it must."""
        answer = server.ask("/prove/1000?security=128")
        assert aprover.Proof.from_bytes(answer.body).security.proven_bits >= 128

    def test_concurrent_requests_for_one_proof_share_it(self, server: Server) -> None:
        """Eight clients, one proof."""
        before = server.statistics()
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(server.ask, ["/prove/200000"] * 8))
        after = server.statistics()
        assert len({answer.body for answer in answers}) == 1
        assert after["proofs"] - before["proofs"] == 1
        assert after["joins"] + after["hits"] - before["joins"] - before["hits"] == 7

    def test_a_proof_that_is_sent_is_checked(self, server: Server) -> None:
        """And what it proves comes back, for the client to compare."""
        answer = server.ask("/verify", server.ask("/prove/20").body)
        assert (answer.status, answer.json) == (200, {"parameters": {"n": 20}, "inputs": [0, 1], "outputs": [6765]})


class TestBadInput:
    @pytest.mark.parametrize(
        ("path", "field", "came", "allowed"),
        [
            ("/prove/0", "n", "0", "1"),
            ("/prove/1048577", "n", "1048577", "1048576"),
            ("/prove/many", "n", "many", "integer"),
            ("/prove/" + "9" * 5000, "n", "999", "int"),
            ("/prove/5?security=0", "security", "0", "1"),
            ("/prove/5?security=200", "security", "200", "128"),
            ("/prove/5?security=", "security", "''", "integer"),
            ("/prove/%C2%B2/events", "n", "²", "integer"),
        ],
    )
    def test_the_answer_names_the_field_what_came_and_what_is_allowed(
        self, server: Server, path: str, field: str, came: str, allowed: str
    ) -> None:
        """In a sentence, and never at length."""
        answer = server.ask(path)
        assert (answer.status, answer.json["field"]) == (422, field)
        assert f"{field} = '{came.strip(chr(39))}" in answer.json["error"]
        assert allowed in answer.json["error"]
        assert len(answer.body) < 300

    @pytest.mark.parametrize("body", [b"", b"{}", b"APRV", bytes(100_000)], ids=len)
    def test_what_is_no_proof_is_refused_with_a_code(self, server: Server, body: bytes) -> None:
        """By the verifier's own check."""
        answer = server.ask("/verify", body)
        assert (answer.status, answer.json["code"]) == (422, "ENVELOPE")

    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_any_other_body_is_refused_with_a_code(self, server: Server, data: st.DataObject) -> None:
        """Whatever was cut out of an honest proof, or put into it: never a fault of the server."""
        proof = HONEST.to_bytes()
        begin = data.draw(st.integers(0, 200) | st.integers(0, len(proof)))
        end = data.draw(st.integers(begin, min(begin + 8, len(proof))) | st.integers(begin, len(proof)))
        body = proof[:begin] + data.draw(st.binary(max_size=16)) + proof[end:]
        answer = server.ask("/verify", body)
        if body == proof:
            assert answer.status == 200
        else:
            assert answer.status == 422
            assert answer.json.get("code", "PROGRAM") in set(aprover.VerificationCode)
            assert len(answer.body) < 1000

    def test_a_changed_proof_is_refused_by_the_check_that_found_it(self, server: Server) -> None:
        """The last byte belongs to what was opened."""
        proof = bytearray(server.ask("/prove/20").body)
        proof[-1] ^= 1
        answer = server.ask("/verify", bytes(proof))
        assert answer.status == 422
        assert answer.json["code"] in set(aprover.VerificationCode)

    def test_a_body_without_an_end_is_read_up_to_a_limit(self, server: Server) -> None:
        """A proof is much smaller."""
        answer = server.ask("/verify", bytes(2**20 + 1))
        assert (answer.status, answer.json["field"]) == (422, "body")

    def test_a_commitment_that_would_be_checked_by_doing_the_work_again_is_refused(self, server: Server) -> None:
        """It could hold up the loop for as long as its sender likes."""
        commitment = aprover.prove_sync(aprover.Fibonacci(20), backend="trace")
        answer = server.ask("/verify", commitment.to_bytes())
        assert (answer.status, answer.json["field"]) == (422, "backend")

    def test_a_proof_of_another_program_is_refused(self, server: Server) -> None:
        """This application is about one."""
        answer = server.ask("/verify", aprover.prove_sync(aprover.FibonacciU64(20)).to_bytes())
        assert (answer.status, answer.json["code"]) == (422, "PROGRAM")


class TestEvents:
    def test_progress_comes_before_the_proof(self, server: Server) -> None:
        """At most ten times a second, with a phase and a fraction. It has to wait for others, and so is long enough."""
        with ThreadPoolExecutor() as others:
            waiting = [others.submit(server.ask, f"/prove/{LARGE - i}") for i in range(1, 7)]
            server.wait_until(lambda now: now["waiters"] >= 3)
            answer = server.ask(f"/prove/{LARGE}/events")
        assert all(other.result().status == 200 for other in waiting)
        assert answer.headers["content-type"] == "text/event-stream"
        *progress, (last, data) = answer.events
        assert last == "proof"
        assert aprover.verify(base64.b64decode(data["base64"])).parameters == (("n", LARGE),)
        assert progress
        for name, report in progress:
            assert name == "progress"
            assert report["phase"] in ("queued", "trace", "prove")
            assert 0 <= report["fraction"] <= 1

    def test_a_client_that_leaves_takes_its_proof_along(self, server: Server) -> None:
        """Nothing runs on for nobody."""
        before = server.statistics()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", f"/prove/{LARGE * 2 - 1}/events")
        response = connection.getresponse()
        server.wait_until(lambda now: now["running"] > 0)
        response.close()
        connection.close()
        after = server.wait_until(lambda now: now["cancelled"] > before["cancelled"])
        assert (after["waiters"], after["proofs"]) == (0, before["proofs"])


class TestEnds:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_a_termination_in_the_middle_costs_no_request_its_proof(self, name: str) -> None:
        """Eight are under way, one of them as events; no further one is let in, and nothing is said."""
        paths = [f"/prove/{2**17 + i}" for i in range(7)] + [f"/prove/{2**17 + 7}/events"]
        with running(name) as server, ThreadPoolExecutor(len(paths)) as clients:
            answers = [clients.submit(server.ask, path) for path in paths]
            busy = server.wait_until(lambda now: now["flights"] == len(paths))
            server.terminate()
            server.require_quiet_end()
            assert busy["waiters"] > 0
            *proofs, events = [answer.result() for answer in answers]
            for i, proof in enumerate(proofs):
                assert proof.status == 200
                assert aprover.verify(proof.body).parameters == (("n", 2**17 + i),)
            assert events.events[-1][0] == "proof"
            with pytest.raises(ConnectionRefusedError):
                server.ask("/prove/20")

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_what_takes_too_long_is_refused_clearly(self, name: str) -> None:
        """So a shutdown has an end, and cuts no answer off."""
        with running(name, patience=0.02) as server:
            answer = server.ask("/prove/1048576")
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert "try again later" in answer.json["error"]
            ((event, data),) = server.ask("/prove/1048575/events").events
            assert event == "error"
            assert "try again later" in data["error"]
            assert server.wait_until(lambda now: now["running"] == now["waiters"] == 0)["proofs"] == 0
