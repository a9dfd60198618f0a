"""`aiev serve`: an OpenAI-compatible server whose answers come with their code already run."""

from aiev.cli.conversing import Serving, listening, ready, spread


@spread
def serve(options: Serving) -> None:
    """Serve a model with the code interpreter by the OpenAI chat API, for any chat front end. Code
    in answers runs in the sandbox without asking; packages are installed from the config's list.

    It listens on loopback. On another address clients have to send a token as their API key: that
    of the environment variable AUTOCODER_TOKEN, or one that is made up and printed.

    \b
      aiev serve --model teacher
      aiev serve --model results/laptop/model --host 0.0.0.0 --port 8080
    """
    from aiev.interpreter.completions import Completions
    from aiev.interpreter.server import Server

    with ready("serve", options) as (client, new_session):
        served_as = client.endpoint.model
        with listening(Server, options, Completions(client, new_session), served_as) as server:
            place = f"http://{options.host}:{server.server_address[1]}/v1"
            print(f"serving {served_as} at {place}", flush=True)
            if server.token:
                print(f"clients have to send this API key: {server.token}", flush=True)
            server.serve_forever()
