"""The mail door: SMTP (RFC 5321) and LMTP (RFC 2033).

It does not stand on aiosmtpd. Fenced off there would have to be: answers with paths, lines and sessions without bounds, no
caps, a line limit that real mail breaks, the buffer at the handshake; that is the whole command loop, the DATA loop and
the TLS upgrade, and its loop of one ``readuntil`` and one ``drain`` per line is what makes it slow. What is left to reuse
is small, so the state machine is our own (`session`), with each other concept in a module of its own:

* `recipients`: which addresses are ours, and whose;
* `paths`: what stands in ``MAIL FROM`` and ``RCPT TO``;
* `text`: the bytes between ``DATA`` and the lone dot;
* `envelope`: what is known about a message beside its bytes;
* `mailroom`: a message becomes receipts, one per source;
* `peers`, `auth`, `proxy`: how many a client may open, who it is, and for whom a proxy speaks;
* `server`: listening, time limits, a graceful stop.
"""
