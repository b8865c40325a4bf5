"""Autobahn's fuzzing server, on loopback alone.

wstest would listen on every interface, at the port of its specification's url. Here
the system chooses the port, which is printed; and a Host field may name another one, a
proxy's.
"""
from __future__ import print_function

import sys

from autobahntestsuite import wstest
from twisted.internet import reactor

listen_anywhere = reactor.listenTCP


def listen_on_loopback(_port, factory, backlog=50, _interface=""):
    factory.externalPort = None
    listening = listen_anywhere(0, factory, backlog, "127.0.0.1")
    print("listening %d" % listening.getHost().port)
    sys.stdout.flush()
    return listening


reactor.listenTCP = listen_on_loopback
wstest.run()
