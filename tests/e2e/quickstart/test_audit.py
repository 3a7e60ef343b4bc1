#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The audit of the pipeline finds every kind of false books.

Good books are written by hand; each case spoils them in one place.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
AUDIT = os.path.join(TOP, "client/examples/pipeline/audit.py")
STORY, IMAGE, MUSIC = "story.StoryFinder", "image.ImageGen", "music.Composer"
LIMITS = {STORY: 3, IMAGE: 3, MUSIC: 2}


def good_books():
    """Three jobs: a story at the second attempt, and those that fail."""
    books = {"events": [], "jobs": [], "journal": []}
    for service, answers, end in (
            (STORY, ["503", "good"], "SUCCEEDED"),
            (IMAGE, ["refused"], "FAILED"),
            (MUSIC, ["503", "503"], "FAILED")):
        job, key = "id of " + service, "key of " + service
        types = ["job.accepted"]
        types += ["attempt.started", "attempt.failed"] * len(answers)
        types += ["job." + end.lower()]
        for number, name in enumerate(types, 1):
            books["events"].append({
                "type": name, "job_id": job, "job_seq": str(number),
                "seq": str(len(books["events"]) + 1)})
        reason = {"refused": "CONTENT_REFUSED", "503": "HTTP_503"}
        books["jobs"].append({
            "id": job, "key": key, "service": service, "state": end,
            "attempts_charged": len(answers),
            "outcome": {"reason": reason.get(answers[-1], "")}})
        books["journal"] += [{"key": key, "answer": answer}
                             for answer in answers]
    return books


def audit(books, *words):
    """Its exit code, and what it complains about."""
    config = {"methodConfig": [
        {"name": [{"service": service}], "retryPolicy": {"maxAttempts": limit}}
        for service, limit in LIMITS.items()]}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, AUDIT, "--expect-jobs", "3", *words]
        for name, content in (("config", [config]), *books.items()):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in content)
            command += ["--" + name, path]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                              check=False)
    return done.returncode, [line for line in done.stdout.splitlines()
                             if "WRONG" in line]


def lose_a_job(books):
    del books["jobs"][0]


def invent_a_job(books):
    books["jobs"].append(dict(books["jobs"][0], id="new", key="new"))


def end_twice(books):
    books["events"].append({"type": "job.failed", "job_id": "id of " + STORY,
                            "job_seq": "7", "seq": "100"})


def never_end(books):
    books["jobs"][0]["state"] = "RUNNING"
    books["events"] = [event for event in books["events"]
                       if event["type"] != "job.succeeded"]


def leave_an_event_out(books):
    del books["events"][2]


def mix_the_order(books):
    books["events"][1], books["events"][8] = (books["events"][8],
                                              books["events"][1])


def say_gap(books):
    books["events"].insert(0, {"type": "stream.gap", "seq": "0",
                               "job_seq": "1", "job_id": "none"})


def charge_too_often(books):
    books["jobs"][2]["attempts_charged"] = 3


def ask_too_often(books):
    books["journal"].append({"key": "key of " + MUSIC, "answer": "503"})


def ask_behind_the_books(books):
    books["journal"].append({"key": "key of " + IMAGE, "answer": "refused"})


def ask_for_nobody(books):
    books["journal"].append({"key": "stray", "answer": "good"})


def fail_otherwise(books):
    books["jobs"][1]["outcome"]["reason"] = "HTTP_500"


def fail_too_much(books):
    books["jobs"][0]["state"] = "FAILED"
    books["events"][5]["type"] = "job.failed"


CASES = (lose_a_job, invent_a_job, end_twice, never_end, leave_an_event_out,
         mix_the_order, say_gap, charge_too_often, ask_too_often,
         ask_behind_the_books, ask_for_nobody, fail_otherwise, fail_too_much)


def main():
    print("1..%d" % (len(CASES) + 2))
    code, wrong = audit(good_books())
    bad = code != 0 or wrong != []
    print("%s 1 good books" % ("not ok" if bad else "ok"))
    code, wrong = audit(good_books(), "--expect-faults")
    short = code != 1 or len(wrong) != 1
    print("%s 2 too few faults" % ("not ok" if short else "ok"))
    bad = bad or short
    for number, spoil in enumerate(CASES, 3):
        books = copy.deepcopy(good_books())
        spoil(books)
        code, wrong = audit(books)
        seen = code == 1 and wrong != []
        bad = bad or not seen
        print("%s %d %s" % ("ok" if seen else "not ok", number,
                            spoil.__name__.replace("_", " ")))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
