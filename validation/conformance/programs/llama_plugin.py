"""For the tests of llama.cpp's server, which serves one model: a request that names none is for ours."""

import requests

_post = requests.post


def post(url, *args, json=None, **more):
    if isinstance(json, dict) and "model" not in json:
        json = {"model": "test"} | json
    return _post(url, *args, json=json, **more)


requests.post = post
