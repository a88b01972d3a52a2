"""Checks signatures of webhooks as Standard Webhooks says, without any of our code.

webhook.py SECRET < REQUESTS: a line of JSON per request, {"headers": {NAME: VALUE}, "body": BASE64}. Each
must be signed with SECRET (whsec_ and base64), be of now, and fail once anything of it is changed. Prints the
ids, a line each; ends with 1 if anything is wrong.
"""

import base64
import hashlib
import hmac
import json
import sys
import time

TOLERANCE_S = 300


def is_signed(key, headers, body):
    said, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(at)) > TOLERANCE_S:
        return False
    digest = hmac.new(key, b".".join([said.encode(), at.encode(), body]), hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    return any(hmac.compare_digest(wanted, each) for each in headers["webhook-signature"].split(" "))


def main(secret):
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    wrong = 0
    for line in sys.stdin:
        request = json.loads(line)
        headers, body = request["headers"], base64.b64decode(request["body"], validate=True)
        print(headers["webhook-id"])
        others = [
            (key, headers | {"webhook-id": headers["webhook-id"] + "1"}, body),
            (key, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body),
            (key, headers, body + b" "),
            (key + b"1", headers, body),
        ]
        if not is_signed(key, headers, body) or any(is_signed(*other) for other in others):
            print(f"webhook: {headers['webhook-id']} is not signed as it should be", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
