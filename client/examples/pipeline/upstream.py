#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The slow, flaky services that the agents of the pipeline call: one HTTP
server for stories, scripts, images, voices, music and videos.

An answer depends on nothing but the request's body, so that the video made
through all faults can be compared with the one made without any. Which faults
come before the good answer depends on the seed, the service and the body, and
on how often this request (its Idempotency-Key) has come before:

    503      503, nothing else
    429      429, Retry-After in seconds
    429date  429, Retry-After as an HTTP date
    hang     no answer for longer than any attempt may take
    drop     the connection is reset before an answer
    cut      the connection ends in the middle of an answer
    invalid  422 with X-Reason: SCRIPT_VALIDATION (scripts only)

Music is never available, and images of celebrities are refused: those jobs
fail for good.

Every request is one JSON line in the journal, written before its answer.
"""

import argparse
import email.utils
import hashlib
import http.server
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import threading
import time

HANG_S = 10
THINK_S = 0.15
FAULTS_MAX = 3
ANYWHERE = ("503", "429", "429date", "hang", "drop", "cut")

# What always comes first, so that every run meets each kind.
FIRST = {
    "/story": ["drop"],
    "/script": ["503", "invalid"],
    "/image": ["429"],
    "/voice": ["429date"],
    "/video": ["hang", "hang"],
}

PEOPLE = ("a lighthouse keeper", "a retired diver", "the night baker",
          "a map maker", "two sisters", "the last postman")
THINGS = ("a clock that runs backwards", "a letter without a sender",
          "a door in the cliff", "the sound of bells at sea",
          "a light on the wrong island", "a jar of warm snow")
ENDINGS = ("and nobody asks again", "and the harbour wakes",
           "until the tide turns", "and the town learns to listen")
STYLES = ("ink and water", "paper cut", "charcoal", "soft morning light")


def digest(body):
    return hashlib.sha256(body).digest()


def pick(words, body, salt):
    return words[digest(salt.encode() + body)[0] % len(words)]


# --- the services: bytes in, (content type, bytes) out ---------------------


def story(body):
    who = pick(PEOPLE, body, "who")
    what = pick(THINGS, body, "what")
    end = pick(ENDINGS, body, "end")
    text = "Topic: %s\n%s finds %s,\nfollows it for %d days, %s.\n" % (
        body.decode().strip(), who.capitalize(), what,
        2 + digest(body)[1] % 30, end)
    return "text/plain", text.encode()


def script(body):
    lines = [line for line in body.decode().splitlines() if line]
    scenes = []
    for number in range(1, 5):
        told = lines[number % len(lines)]
        style = pick(STYLES, body, "style%d" % number)
        scenes.append("%d | scene %d, %s: %s | %s\n"
                      % (number, number, style, told, told))
    return "text/plain", "".join(scenes).encode()


def image(body):
    """A picture of 32 x 16 grey points, as a binary PGM."""
    points = b"".join(digest(b"%d" % row + body) for row in range(16))
    return "image/x-portable-graymap", b"P5 32 16 255\n" + points


def voice(body):
    """One tone for each word, as a WAV file of 8,000 bytes a second."""
    sound = bytearray()
    for word in body.split():
        period = 8 + digest(word)[0] % 32
        sound += bytes(96 if at % period < period // 2 else 160
                       for at in range(400))
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(sound),
                       b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8,
                       b"data", len(sound))
    return "audio/wav", head + bytes(sound)


def video(body):
    """A frame for each picture; a comment names the sound."""
    at = 0
    frames = []
    while body.startswith(b"P5 32 16 255\n", at):
        at += 13
        frames.append(b"FRAME\n" + body[at:at + 512])
        at += 512
    head = "YUV4MPEG2 W32 H16 F1:1 Ip A1:1 Cmono XVOICE=%s\n" % (
        hashlib.sha256(body[at:]).hexdigest())
    return "video/x-yuv4mpeg", head.encode() + b"".join(frames)


SERVICES = {"/story": story, "/script": script, "/image": image,
            "/voice": voice, "/video": video, "/music": None}


# --- faults ------------------------------------------------------------------


class Upstream:
    """What all connections share."""

    def __init__(self, faults, journal):
        self.seed = faults
        self.journal = journal
        self.lock = threading.Lock()
        self.counts = {}

    def plan(self, path, body):
        """The faults before the good answer, in their order."""
        if self.seed == "none" or path not in FIRST:
            return []
        chance = random.Random(self.seed.encode() + path.encode() + body)
        kinds = list(FIRST[path])
        kinds += chance.sample(ANYWHERE, chance.randint(0, FAULTS_MAX))
        return kinds[:FAULTS_MAX]

    def judge(self, path, key, body):
        """What becomes of this request; it is in the journal then."""
        with self.lock:
            count = self.counts.get(key, 0) + 1
            self.counts[key] = count
            plan = self.plan(path, body)
            if path == "/music":
                answer = "503"
            elif path == "/image" and b"celebrity" in body:
                answer = "refused"
            else:
                answer = plan[count - 1] if count <= len(plan) else "good"
            line = {"path": path, "key": key, "count": count,
                    "answer": answer}
            self.journal.write(json.dumps(line) + "\n")
            self.journal.flush()
            return answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "studio"

    def reply(self, status, content_type, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, text, *headers):
        self.reply(status, "text/plain", text.encode() + b"\n", headers)

    def leave(self, reset):
        """Ends the connection; a reset throws away what is under way."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
        self.connection.close()

    def hang(self):
        """Says nothing until the other side gives up."""
        select.select([self.connection], [], [], HANG_S)
        self.leave(reset=True)

    def cut(self, content_type, body):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        self.leave(reset=False)

    def fail(self, answer, good):
        if answer == "503":
            self.refuse(503, "out of machines")
        elif answer == "429":
            self.refuse(429, "slow down", ("Retry-After", "1"))
        elif answer == "429date":
            at = email.utils.formatdate(time.time() + 2, usegmt=True)
            self.refuse(429, "slow down", ("Retry-After", at))
        elif answer == "invalid":
            self.refuse(422, "scene 2 has no ending",
                        ("X-Reason", "SCRIPT_VALIDATION"))
        elif answer == "refused":
            self.refuse(403, "no pictures of celebrities",
                        ("X-Reason", "CONTENT_REFUSED"))
        elif answer == "hang":
            self.hang()
        elif answer == "drop":
            self.leave(reset=True)
        elif answer == "cut":
            self.cut(*good)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path not in SERVICES:
            self.refuse(404, "no such service")
            return
        key = self.headers.get("Idempotency-Key") or digest(
            self.path.encode() + body).hex()
        answer = self.server.upstream.judge(self.path, key, body)
        service = SERVICES[self.path]
        good = service(body) if service else None
        if answer == "good":
            time.sleep(THINK_S)
            self.reply(200, *good)
        else:
            self.fail(answer, good)

    def log_message(self, *_):
        """The journal says it all."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Gateways that are killed hang up: nothing to report."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(
        description="Flaky HTTP services for the pipeline of agents.")
    parser.add_argument("--faults", default="none", metavar="SEED",
                        help="a word that chooses the faults, or none")
    parser.add_argument("--journal", required=True, metavar="FILE",
                        help="a line for each request is added here")
    parser.add_argument("--port-file", required=True, metavar="FILE",
                        help="written when the server listens")
    parser.add_argument("--port", type=int, default=0,
                        help="on loopback; 0: any (default)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with open(options.journal, "a", encoding="utf-8") as journal, \
            Server(("127.0.0.1", options.port), Handler) as server:
        server.upstream = Upstream(options.faults, journal)
        with open(options.port_file + ".new", "w", encoding="ascii") as file:
            file.write("%d\n" % server.server_port)
        os.replace(options.port_file + ".new", options.port_file)
        server.serve_forever()


if __name__ == "__main__":
    main()
