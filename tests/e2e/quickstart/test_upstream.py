#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The upstream of the pipeline: answers depend on the input alone, faults on
the seed, and each fault is what its name says."""

import http.client
import os
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
UPSTREAM = os.path.join(TOP, "client/examples/pipeline/upstream.py")
FAULTS_MAX = 3
PATIENCE_S = 30
TOPIC = b"two ships"


class Upstream:
    """One that runs, in a folder of its own."""

    def __init__(self, faults):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "port")
        self.process = subprocess.Popen(
            [sys.executable, UPSTREAM, "--faults", faults, "--port-file", path,
             "--journal", os.path.join(self.folder.name, "journal")])
        end = time.monotonic() + PATIENCE_S
        while not os.path.exists(path) and time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError("the upstream has ended")
        with open(path, encoding="ascii") as file:
            self.port = int(file.read())

    def ask(self, path, body, key=None, patience_s=1):
        """(status, headers, body), or what went wrong."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=patience_s)
        headers = {"Idempotency-Key": key} if key else {}
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        except TimeoutError:
            return "hang", {}, b""
        except http.client.IncompleteRead:
            return "cut", {}, b""
        except (ConnectionError, http.client.RemoteDisconnected):
            return "drop", {}, b""
        finally:
            connection.close()

    def end(self):
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        self.folder.cleanup()
        return code


def path_to_good(upstream, path, body, key):
    """The statuses before 200, and the good answer."""
    statuses = []
    while len(statuses) <= FAULTS_MAX:
        status, headers, answer = upstream.ask(path, body, key)
        if status == 200:
            return statuses, answer
        statuses.append((status, headers.get("Retry-After"),
                         headers.get("X-Reason")))
    return statuses, None


def answers_depend_on_the_input_alone(calm, faulty):
    for path in ("/story", "/script", "/image", "/voice"):
        status, _, good = calm.ask(path, TOPIC)
        faults, same = path_to_good(faulty, path, TOPIC, "same" + path)
        _, _, other = calm.ask(path, TOPIC + b"!")
        assert status == 200 and good == same != other, path
        assert 1 <= len(faults) <= FAULTS_MAX, faults


def faults_depend_on_the_seed_and_the_input(calm, faulty):
    del calm
    once, _ = path_to_good(faulty, "/story", TOPIC, "one key")
    again, _ = path_to_good(faulty, "/story", TOPIC, "another key")
    assert [fault[0] for fault in once] == [fault[0] for fault in again]
    assert once[0][0] == "drop", once


def scripts_fail_validation(calm, faulty):
    del calm
    faults, _ = path_to_good(faulty, "/script", TOPIC, "script")
    assert faults[0][0] == 503, faults
    assert faults[1][0] == 422 and faults[1][2] == "SCRIPT_VALIDATION", faults


def limits_say_when_to_come_back(calm, faulty):
    del calm
    status, headers, _ = faulty.ask("/image", TOPIC, "image")
    assert status == 429 and headers["Retry-After"] == "1", headers
    status, headers, _ = faulty.ask("/voice", TOPIC, "voice")
    assert status == 429 and headers["Retry-After"].endswith("GMT"), headers


def videos_hang_first(calm, faulty):
    del calm
    assert faulty.ask("/video", TOPIC, "video")[0] == "hang"


def some_requests_fail_for_good(calm, faulty):
    for upstream in (calm, faulty):
        for _ in range(FAULTS_MAX + 2):
            assert upstream.ask("/music", TOPIC, "music")[0] == 503
            status, headers, _ = upstream.ask("/image", b"a celebrity", "who")
            assert status == 403, status
            assert headers["X-Reason"] == "CONTENT_REFUSED", headers


def videos_hold_all_pictures_and_name_the_sound(calm, faulty):
    del faulty
    pictures = [calm.ask("/image", b"%d" % number)[2] for number in range(3)]
    sound = calm.ask("/voice", TOPIC)[2]
    _, _, video = calm.ask("/video", b"".join(pictures) + sound)
    _, _, silent = calm.ask("/video", b"".join(pictures))
    assert video.count(b"FRAME\n") == 3
    assert all(picture[13:] in video for picture in pictures)
    assert video != silent


CASES = (answers_depend_on_the_input_alone,
         faults_depend_on_the_seed_and_the_input, scripts_fail_validation,
         limits_say_when_to_come_back, videos_hang_first,
         some_requests_fail_for_good,
         videos_hold_all_pictures_and_name_the_sound)


def main():
    calm, faulty = Upstream("none"), Upstream("seed")
    bad = 0
    print("1..%d" % (len(CASES) + 1))
    for number, case in enumerate(CASES, 1):
        try:
            case(calm, faulty)
            print("ok %d %s" % (number, case.__name__.replace("_", " ")))
        except AssertionError as error:
            bad += 1
            print("not ok %d %s" % (number, case.__name__.replace("_", " ")))
            print("# %s" % error)
    codes = [calm.end(), faulty.end()]
    print("%s %d it ends at SIGTERM" % (
        "ok" if codes == [0, 0] else "not ok", len(CASES) + 1))
    return 1 if bad or codes != [0, 0] else 0


if __name__ == "__main__":
    sys.exit(main())
