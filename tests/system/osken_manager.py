"""osken-manager of os-ken 1.x on the eventlet that runs under today's Python."""

import eventlet

eventlet.monkey_patch()
import eventlet.wsgi  # noqa: E402

# os-ken 1.x names it; eventlet dropped it in 0.31.
if not hasattr(eventlet.wsgi, 'ALREADY_HANDLED'):
    eventlet.wsgi.ALREADY_HANDLED = []

# os-ken 1.x asks for TLS 1.0 and nothing else, which today's OpenSSL doesn't offer; later ones take what is there.
import ssl  # noqa: E402

ssl.PROTOCOL_TLSv1 = ssl.PROTOCOL_TLS

from os_ken.cmd.manager import main  # noqa: E402

if __name__ == '__main__':
    main()
