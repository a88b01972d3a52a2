"""Reads requests as the CloudEvents SDK does, without any of our code.

events.py < REQUESTS: a line of JSON per request, {"headers": {NAME: VALUE}, "body": BASE64}. Prints a line of JSON
for each event, {"attributes": {NAME: VALUE}, "data": DATA}; ends with 1 if the SDK refuses one.
"""

import base64
import json
import sys

from cloudevents.conversion import to_json
from cloudevents.http import from_http


def main():
    for line in sys.stdin:
        request = json.loads(line)
        event = from_http(request["headers"], base64.b64decode(request["body"], validate=True))
        # What the SDK writes again must be an event too.
        json.loads(to_json(event))
        print(json.dumps({"attributes": dict(event.get_attributes()), "data": event.get_data()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
