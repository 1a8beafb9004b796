"""test_schema.py - the JSON Schema agrees with the loader, by two validators that know nothing of each
other: what it refuses the loader refuses, and what the loader takes it takes."""

import copy
import glob
import json
import os
import shutil
import subprocess
import sys

from harness import IS_ROOT, Skip, claim

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMA = os.path.join(TOP, "etc", "poold.schema.json")
EXAMPLES = [os.path.join(TOP, "etc", "poold.json"),
            *sorted(glob.glob(os.path.join(TOP, "etc", "examples", "*", "*.json")))]

# Each reads the schema's path from argv and a list of documents from stdin, and answers with a list
# of booleans.
VALIDATORS = {
    "jsonschema": """
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
print(json.dumps([validator.is_valid(document) for document in json.load(sys.stdin)]))
""",
    "fastjsonschema": """
import json, sys, fastjsonschema
validate = fastjsonschema.compile(json.load(open(sys.argv[1])))
def good(document):
    try:
        validate(document)
    except fastjsonschema.JsonSchemaException:
        return False
    return True
print(json.dumps([good(document) for document in json.load(sys.stdin)]))
""",
}

POOL = {"command": ["/bin/true"], **({"identity": {"user": "root"}} if IS_ROOT else {})}


def with_pool(**members):
    return {"pools": {"p": {**POOL, **members}}}


GOOD = [
    {}, {"$schema": "x", "$comment": "y"}, {"pools": {"$comment": "z"}}, with_pool(),
    {"include": ["pools.d/*.json"], "log": {"facility": "local3", "level": "debug"},
     "limits": {"starts": 9}, "listen_addresses": ["127.0.0.1", "::1"]},
    {"defaults": {"umask": "0077", "workers": {"min": 2}}},
    {"control": {"socket": "/run/p.sock", "admin": ["root"], "operator": ["@root"], "viewer": []}},
    with_pool(preset="gunicorn", directory="/tmp", environment={"A": "b", "$comment": "c"}),
    with_pool(listen=["*:80", "127.0.0.1:81", "[::1]:82", "unix:/run/x",
                      {"address": "unix:/run/y", "name": "n", "mode": "0660", "backlog": 5}]),
    with_pool(queue_length=5, auto_start=False, output="null", umask="077", stop_signal="SIGINT"),
    with_pool(output="/tmp/poold-test-output"),
    with_pool(limits={"nofile": 64, "core": "0", "stack": "8MiB", "cpu": "1h30m", "nice": 5,
                      "oom_score_adjust": 500}),
    with_pool(ready="notify"), with_pool(ready={"after": "200ms", "$comment": "c"}),
    with_pool(ready={"command": ["/bin/true", "-q"]}), with_pool(handoff="nginx"),
    with_pool(recycling={"overlap": False, "surge": 2, "on_config_change": False}),
    with_pool(recycling={"time": "0s", "jitter": "0%", "requests": 0, "schedule": []}),
    with_pool(recycling={"time": "29h", "jitter": "50%", "requests": 9,
                         "schedule": ["00:00", "23:59"]}),
    {"limits": {"recycles": 0}}, {"limits": {"recycles": 3}},
    with_pool(failure={"rapid_fail": True, "max_failures": 3, "interval": "1m", "delay": "1s"}),
]

BAD = [
    7, [], {"pool": {}}, {"pools": []}, {"pools": {"-a": POOL}}, {"pools": {"p": 1}},
    {"$comment": 1}, {"include": "a"}, {"include": [1]}, {"include": [""]}, {"defaults": {"listen": []}},
    {"defaults": {"commands": []}}, {"listen_addresses": ["localhost"]}, {"log": {"level": "loud"}},
    {"log": {"facility": 3}}, {"limits": {"starts": 0}}, {"limits": {"workers": 5}},
    {"control": []}, {"control": {"socket": "run"}}, {"control": {"socket": "/run/"}},
    {"control": {"socket": "/" + 107 * "a"}}, {"control": {"admin": "root"}},
    {"control": {"viewer": [""]}}, {"control": {"operator": ["@"]}}, {"control": {"owner": []}},
    with_pool(command="x"), with_pool(command=[]), with_pool(command=[1]),
    with_pool(comand=["x"]), with_pool(preset="apache"), with_pool(directory="tmp"),
    with_pool(environment={"A": 1}), with_pool(environment={"A-B": ""}),
    with_pool(environment={"LISTEN_PID": "1"}), with_pool(umask=22), with_pool(umask="0999"),
    with_pool(umask="7777"), with_pool(auto_start="yes"), with_pool(listen="*:80"),
    with_pool(listen=["80"]), with_pool(listen=["*:0"]), with_pool(listen=["unix:run"]),
    with_pool(listen=[{"name": "x"}]), with_pool(listen=[{"address": "*:80", "port": 1}]),
    with_pool(listen=[{"address": "unix:/x", "mode": "rw"}]), with_pool(queue_length=0),
    with_pool(queue_length="5"), with_pool(identity={"usr": "root"}), with_pool(identity=[]),
    with_pool(identity={"user": "root", "groups": "bin"}), with_pool(output="var/log/x"), with_pool(output="/var/log/"),
    with_pool(limits={"nofile": -1}), with_pool(limits={"nofile": "64"}),
    with_pool(limits={"core": 0}), with_pool(limits={"cpu": 5}), with_pool(limits={"nice": 20}),
    with_pool(limits={"files": 1}), with_pool(ready="soon"), with_pool(ready={}),
    with_pool(ready={"after": 2}), with_pool(ready={"after": "1s", "command": ["/x"]}),
    with_pool(stop_signal="KILL"), with_pool(stop_signal=15), with_pool(handoff="systemd"),
    with_pool(workers={"min": 0}), with_pool(workers={"min": 1.5}), with_pool(workers={"max": 2}),
    with_pool(recycling={"jitter": 10}), with_pool(recycling={"jitter": "010%"}),
    with_pool(recycling={"jitter": "10"}), with_pool(recycling={"requests": -1}),
    with_pool(recycling={"schedule": "03:30"}), with_pool(recycling={"schedule": ["24:00"]}),
    with_pool(recycling={"schedule": ["3:30"]}), with_pool(recycling={"schedule": ["03:60"]}),
    with_pool(recycling={"time": 29}), {"limits": {"recycles": -1}},
    with_pool(recycling={"overlap": None}), with_pool(health={"startup_timeout": 90}),
    with_pool(health={"startup_timeout": "90"}), with_pool(health={"startup_timeout": "1s1m"}),
    with_pool(health={"ping": True}), with_pool(failure={"max_failures": 65}), with_pool(warm_up=[]),
    with_pool(http=True), with_pool(cpu={"limit": 1}),
]


def answers_of(validator, documents):
    """What the validator says of each document, by whichever Python has it."""
    for python in dict.fromkeys([sys.executable, shutil.which("python3"), "/usr/bin/python3"]):
        if python is None or not os.path.exists(python):
            continue
        has = subprocess.run([python, "-c", f"import {validator}"], capture_output=True, timeout=30,
                             check=False)
        if has.returncode == 0:
            done = subprocess.run([python, "-W", "ignore", "-c", VALIDATORS[validator], SCHEMA],
                                  input=json.dumps(documents), capture_output=True, text=True,
                                  timeout=60, check=True)
            return json.loads(done.stdout)
    raise Skip(f"needs python3-{validator}")


def loader_takes(box, document):
    path = box.write("c.json", json.dumps(document))
    done = subprocess.run([box.program("poold"), "--check", "--config", path], capture_output=True,
                          text=True, timeout=10, check=False)
    assert done.returncode in (0, 78), done
    return done.returncode == 0


def expect(validator, documents, want):
    for document, good in zip(documents, answers_of(validator, documents), strict=True):
        assert good == want, f"{validator} says {good} of {json.dumps(document)}"


def read_examples():
    documents = []
    for path in EXAMPLES:
        with open(path, encoding="utf-8") as file:
            documents.append(json.load(file))
    assert documents
    return documents


@claim()
def jsonschema_takes_every_example_and_refuses_what_is_bad(box):
    expect("jsonschema", read_examples() + GOOD, True)
    expect("jsonschema", BAD, False)


@claim()
def fastjsonschema_takes_every_example_and_refuses_what_is_bad(box):
    expect("fastjsonschema", read_examples() + GOOD, True)
    expect("fastjsonschema", BAD, False)


@claim(limit=60)
def the_loader_says_of_each_document_what_the_schema_says(box):
    for document in GOOD:
        # A user and a literal include must be there; that no schema knows.
        document = copy.deepcopy(document)
        assert loader_takes(box, document), document
    for document in BAD:
        assert not loader_takes(box, document), document
