# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server with whims, for testing the http plugin.

Listens on a free loopback port, writes its number to standard output, and ends
when its standard input does. What the path asks for:

  /status/503?x-reason=A&retry-after=5   that status; the query becomes headers
  /echo          the request line, headers and body as they came
  /big/1000      so many bytes; /bigstatus/500/1000 with that status
  /hold/250      an empty answer after so many milliseconds
  /never         no answer
  /drop          reads the request, then closes without an answer
  /redirect      302 to /echo; /redirect307 keeps the method
  /stats         "connections=N requests=N held=N": held is the peak
"""

import asyncio
import os
import sys
from urllib.parse import parse_qsl, urlsplit


class Server:
    def __init__(self):
        self.connections = 0
        self.requests = 0
        self.held = 0
        self.held_max = 0
        self.never = asyncio.Event()

    async def read_request(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return lines[0].split(" ")[1], head, body

    async def hold(self, milliseconds):
        self.held += 1
        self.held_max = max(self.held_max, self.held)
        await asyncio.sleep(milliseconds / 1000)
        self.held -= 1

    async def answer(self, path, query, head, body):
        """The status, further headers, and the body; None to hang up."""
        words = path.strip("/").split("/")
        if words[0] == "status":
            body = b"" if words[1] == "304" else b"body of %s" % (
                words[1].encode())
            return int(words[1]), query, body
        if words[0] == "big":
            return 200, [], b"x" * int(words[1])
        if words[0] == "bigstatus":
            return int(words[1]), [], b"x" * int(words[2])
        if words[0] == "hold":
            await self.hold(int(words[1]))
            return 200, [], b""
        if words[0] == "never":
            await self.never.wait()
        if words[0] == "drop":
            return None
        if words[0] == "redirect":
            return 302, [("Location", "/echo")], b"moved"
        if words[0] == "redirect307":
            return 307, [("Location", "/echo")], b"moved"
        if words[0] == "stats":
            text = "connections=%d requests=%d held=%d" % (
                self.connections, self.requests, self.held_max)
            return 200, [], text.encode()
        return 200, [("Content-Type", "text/x-echo")], head + body

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                target, head, body = await self.read_request(reader)
                self.requests += 1
                url = urlsplit(target)
                answer = await self.answer(url.path, parse_qsl(url.query),
                                           head, body)
                if answer is None:
                    break
                status, headers, content = answer
                lines = ["HTTP/1.1 %d Whim" % status,
                         "Content-Length: %d" % len(content)]
                lines += ["%s: %s" % header for header in headers]
                writer.write("\r\n".join(lines).encode("latin-1"))
                writer.write(b"\r\n\r\n")
                if not head.startswith(b"HEAD"):
                    writer.write(content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main():
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0,
                                        limit=65536, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)  # whoever waits for an answer waits no more


if __name__ == "__main__":
    asyncio.run(main())
