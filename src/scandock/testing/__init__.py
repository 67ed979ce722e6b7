"""Doubles for tests of what embeds Scandock, and of Scandock itself: quick, in one process, the other parts real.

- `data.make_data`: a DATA folder whose catalog is there already, copied in a millisecond.
- `server.InProcessServer`: the application over a DATA, asked by httpx without a socket.
- `readers.thread_readers`: imports of this process read in threads instead of processes.
- `privacy.given_privacy`: imports of this process de-identify by rules that a test gives.
- `passwords.quick_passwords`: hashes of passwords that cost nothing. Never for passwords that anybody has.

docs/testing.md has examples, and says what each double leaves out. Nothing of Scandock imports this package.
"""
