"""Grants what a `kafka-acls.sh` command line says, without Kafka's own tools.

acls.py BROKERS kafka-acls.sh --bootstrap-server ... --add --allow-principal P --operation O... --topic T
acls.py BROKERS kafka-acls.sh ... --remove ...   takes it back

Knows the options that `tripline check --connect` prints; anything else is an error. BROKERS is where
an administrator gets in.
"""

import argparse
import sys

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)


def main(brokers, program, *arguments):
    assert program == "kafka-acls.sh", program
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    parser.add_argument("--bootstrap-server", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--add", action="store_true")
    what.add_argument("--remove", action="store_true")
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
    resource = parser.add_mutually_exclusive_group(required=True)
    resource.add_argument("--topic")
    resource.add_argument("--group")
    resource.add_argument("--transactional-id")
    said = parser.parse_args(arguments)

    kinds = [
        (ResourceType.TOPIC, said.topic),
        (ResourceType.GROUP, said.group),
        (ResourceType.TRANSACTIONAL_ID, said.transactional_id),
    ]
    kind, name = next((kind, name) for kind, name in kinds if name is not None)
    pattern = ResourcePatternType[said.resource_pattern_type.upper()]
    admin = AdminClient({"bootstrap.servers": brokers})
    for operation in said.operation:
        entry = (
            kind,
            name,
            pattern,
            said.allow_principal,
            "*",
            AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )
        if said.add:
            answers = admin.create_acls([AclBinding(*entry)], request_timeout=20)
        else:
            answers = admin.delete_acls([AclBindingFilter(*entry)], request_timeout=20)
        for answer in answers.values():
            answer.result()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
