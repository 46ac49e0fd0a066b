"""What servers warn of is shown while they write on: reading does not move the place where they write."""

import subprocess
import sys
import tempfile
import time

from beadwise.driver.launch.servers import Server

WORDS = """import sys
for line in ("first", "warning: this is far", "other", "warning: half"):
    print(line, file=sys.stderr, end="" if "half" in line else chr(10), flush=True)
sys.stdin.readline()
print(" is whole now", file=sys.stderr, flush=True)
sys.stdin.readline()
"""


def test_warnings_are_whole_lines_and_each_is_kept():
    with tempfile.TemporaryFile() as errors:
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", WORDS], stdin=pipe, stderr=errors) as process:
            server = Server(process, errors)
            while not server.warnings:
                time.sleep(0.01)
            assert server.warnings == ["warning: this is far\n"]
            process.stdin.write(b"\n")
            process.stdin.flush()
            while len(server.warnings) < 2:
                time.sleep(0.01)
            assert server.warnings == ["warning: this is far\n", "warning: half is whole now\n"]
            process.stdin.write(b"\n")
            process.stdin.flush()
        assert server.message == "warning: half is whole now"
