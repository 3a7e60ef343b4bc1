#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Balances the books of one run of the pipeline.

    audit.py --config FILE --journal FILE --events FILE --jobs FILE

The journal is the upstream's own; events and jobs come from `redial events
--json` and `redial list --json`. Every promise that does not hold is one line;
the exit code is 1 then.
"""

import argparse
import collections
import json
import sys

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
FINAL_EVENTS = tuple("job." + state.lower() for state in FINAL)
# How the jobs that have to fail do, by service.
FOR_GOOD = {"music.Composer": "HTTP_503", "image.ImageGen": "CONTENT_REFUSED"}
FAULTS = ("503", "429", "429date", "hang", "drop", "invalid")


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_limits(path):
    """maxAttempts by service."""
    limits = {}
    with open(path, encoding="utf-8") as file:
        for config in json.load(file)["methodConfig"]:
            for name in config["name"]:
                limits[name["service"]] = config["retryPolicy"]["maxAttempts"]
    return limits


def events_by_job(events):
    jobs = collections.defaultdict(list)
    for event in events:
        jobs[event.get("job_id")].append(event)
    return jobs


def check_stream(events):
    """One total order, no gap in it or within a job."""
    last = 0
    for event in events:
        if event["type"] == "stream.gap":
            yield "the stream of events has a gap: %s" % event
        if int(event["seq"]) <= last:
            yield "events are out of order at seq %s" % event["seq"]
        last = int(event["seq"])
    for job, found in events_by_job(events).items():
        numbers = [int(event["job_seq"]) for event in found]
        if numbers != list(range(1, len(numbers) + 1)):
            yield "job %s: its events are numbered %s" % (job, numbers)


def check_ends(events, jobs):
    """Whatever was accepted has one end, and the list says the same."""
    accepted = {event["job_id"] for event in events
                if event["type"] == "job.accepted"}
    listed = {job["id"]: job for job in jobs}
    if accepted != set(listed):
        yield "%d jobs were accepted, %d are known" % (len(accepted),
                                                       len(listed))
    for job, found in events_by_job(events).items():
        ends = [event["type"] for event in found
                if event["type"] in FINAL_EVENTS]
        state = listed.get(job, {}).get("state")
        if len(ends) != 1 or state not in FINAL \
                or ends[0] != "job." + state.lower():
            yield "job %s: ended as %s, is %s" % (job, ends, state)


def check_failures(jobs):
    """Those fail that have to, with their reasons, and no other."""
    failed = {job["service"]: job.get("outcome", {}).get("reason")
              for job in jobs if job["state"] != "SUCCEEDED"}
    count = sum(job["state"] != "SUCCEEDED" for job in jobs)
    if failed != FOR_GOOD or count != len(FOR_GOOD):
        yield "%d jobs failed: %s" % (count, failed)


def check_limits(events, jobs, requests, limits):
    """No job was tried more often than its policy allows: the gateway's
    books, and the upstream's."""
    started = collections.Counter(
        event["job_id"] for event in events
        if event["type"] == "attempt.started")
    for job in jobs:
        limit = limits[job["service"]]
        charged = job.get("attempts_charged", 0)
        seen = requests[job["key"]]
        if charged > limit:
            yield "job %s: %d attempts of %d" % (job["id"], charged, limit)
        if seen > limit:
            yield "job %s: the upstream saw %d requests, the limit is %d" % (
                job["id"], seen, limit)
        if seen > started[job["id"]]:
            yield "job %s: %d requests, but only %d attempts" % (
                job["id"], seen, started[job["id"]])
    stray = set(requests) - {job["key"] for job in jobs}
    if stray:
        yield "requests of no known job: %s" % sorted(stray)


def check_faults(journal):
    """The upstream was as bad as it should be."""
    missing = set(FAULTS) - {line["answer"] for line in journal}
    if missing:
        yield "the upstream did not do: %s" % sorted(missing)


def summary(jobs, events, journal):
    states = collections.Counter(job["state"] for job in jobs)
    types = collections.Counter(event["type"] for event in events)
    answers = collections.Counter(line["answer"] for line in journal)
    print("  jobs      %d accepted, %s" % (
        len(jobs), ", ".join("%d %s" % (count, state) for state, count
                             in sorted(states.items(), reverse=True))))
    print("  attempts  %d started, %d failed, %d lost; %d retries planned" % (
        types["attempt.started"], types["attempt.failed"],
        types["attempt.lost"], types["retry.planned"]))
    print("  upstream  %d requests: %s" % (
        len(journal), ", ".join("%d %s" % (count, answer) for answer, count
                                in sorted(answers.items()))))


def main():
    parser = argparse.ArgumentParser(description="Balances the books.")
    for name in ("config", "journal", "events", "jobs"):
        parser.add_argument("--" + name, required=True, metavar="FILE")
    parser.add_argument("--expect-jobs", type=int, required=True)
    parser.add_argument("--expect-faults", action="store_true",
                        help="the upstream was told to fail")
    options = parser.parse_args()
    journal = read_lines(options.journal)
    events = read_lines(options.events)
    jobs = read_lines(options.jobs)
    requests = collections.Counter(line["key"] for line in journal)
    summary(jobs, events, journal)
    bad = list(check_stream(events)) + list(check_ends(events, jobs))
    bad += check_failures(jobs)
    bad += check_limits(events, jobs, requests, read_limits(options.config))
    if len(jobs) != options.expect_jobs:
        bad.append("%d jobs instead of %d" % (len(jobs), options.expect_jobs))
    if options.expect_faults:
        bad += check_faults(journal)
    for line in bad:
        print("  WRONG     " + line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
