"""`aiev web`: the interpreter in a browser."""

from dataclasses import dataclass

from aiev.cli.conversing import PortOption, Serving, listening, ready, spread


@dataclass(frozen=True)
class ServingPage(Serving):
    """The options of a server of pages."""

    port: PortOption = 7860


@spread
def web(options: ServingPage) -> None:
    """Talk to a model with the code interpreter in a browser: code and results set apart, plots as
    pictures, files up and down, and the conversation as JSON, Markdown or a notebook.

    It listens on loopback. On another address the page needs a token, which is part of the printed
    URL: that of the environment variable AUTOCODER_TOKEN, or one that is made up.

    \b
      aiev web --model teacher
    """
    from aiev.interpreter.web import WebServer

    with ready("web", options) as (client, new_session):
        served = (lambda: new_session(client)), client.endpoint.model
        with listening(WebServer, options, *served) as server:
            place = f"http://{options.host}:{server.server_address[1]}/"
            print(f"open {place}{f'#token={server.token}' if server.token else ''}", flush=True)
            server.serve_forever()
