"""A build without TLS says so, and does everything else.

    cli_without_tls.py SOURCE BUILD     builds the program from SOURCE in BUILD
"""

import os
import subprocess
import sys

source, build = sys.argv[1:3]
sys.argv[1:] = [os.path.join(build, "src/cli/nws")]

import unittest  # noqa: E402
from cli_support import Server, main, run  # noqa: E402


class WithoutTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        options = ["-DNWS_WITH_TLS=OFF", "-DNWS_BUILD_TESTS=OFF", "-DNWS_BUILD_EXAMPLES=OFF"]
        for step in (
            ["cmake", "-G", "Ninja", "-S", source, "-B", build, *options],
            ["cmake", "--build", build, "--target", "nws_cli"],
        ):
            subprocess.run(step, check=True, stdout=subprocess.DEVNULL)

    def test_says_so(self):
        for args in (
            ("connect", "wss://localhost/"),
            ("connect", "-k", "wss://localhost/"),
            ("ping", "--ca", __file__, "wss://localhost/"),
            ("serve", "--self-signed", "--port", "0"),
            ("serve", "--cert", __file__, "--port", "0"),
        ):
            done = run(*args)
            self.assertEqual((done.returncode, done.stdout), (1, ""), args)
            self.assertTrue(
                done.stderr.endswith(": this build of the library has no TLS\n"),
                done.stderr,
            )

    def test_the_rest_works(self):
        server = Server(self)
        done = run("connect", server.url, stdin="hello\n")
        self.assertEqual((done.returncode, done.stdout), (0, "hello\n"))


if __name__ == "__main__":
    main()
