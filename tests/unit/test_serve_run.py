"""The socket that a server listens on."""

import asyncio
import socket

import pytest

from vecpress.errors import ConfigError
from vecpress.serve.run import _listen


def accepted(listener):
    """Whether asyncio lets what is written to a connection leave at once."""
    seen = []

    class Answering(asyncio.Protocol):
        def connection_made(self, transport):
            connection = transport.get_extra_info("socket")
            seen.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def meet():
        server = await asyncio.get_running_loop().create_server(Answering, sock=listener)
        async with server:
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            await reader.read()
            writer.close()
            await writer.wait_closed()

    asyncio.run(meet())
    return bool(seen[0])


def test_no_answer_waits_for_its_second_half():
    assert accepted(_listen("127.0.0.1", 0))


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_an_address_of_ipv6_is_listened_on():
    try:
        listener = _listen("::1", 0)
    except ConfigError:
        pytest.skip("there is no loopback of IPv6 here")
    with listener:
        assert listener.family == socket.AF_INET6
        assert listener.getsockname()[1]


def test_a_port_in_use_is_told():
    with _listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^cannot listen on 127\.0\.0\.1 port {port}: "):
            _listen("127.0.0.1", port)
