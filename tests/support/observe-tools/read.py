"""Reads metrics, alert rules and traces with the parsers of others, strictly; prints what they say as JSON."""

import json
import math
import re
import sys


def metrics(path):
    from prometheus_client.parser import text_string_to_metric_families

    text = open(path, encoding="utf-8").read()
    assert text.endswith("\n"), "the last line has an end"
    explained = re.findall(r"^# (?:HELP|TYPE) (\S+)", text, re.M)
    assert all(explained.count(name) == 2 for name in explained), "HELP and TYPE stand once each"
    families, seen = {}, set()
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        # The parser gives counters the names of OpenMetrics; ours are as they stand in the text.
        name, bare = family.name, family.type == "counter" and family.name in explained
        samples = [[name if bare else s.name, s.labels, s.value] for s in family.samples]
        for sample, labels, value in samples:
            key = (sample, tuple(sorted(labels.items())))
            assert key not in seen, f"twice: {key}"
            seen.add(key)
            assert not math.isnan(value), key
        if family.type == "histogram":
            check_histogram(family.name, samples)
        families[name if bare or family.type != "counter" else name + "_total"] = {"type": family.type, "samples": samples}
    assert set(families) == set(explained), set(families) ^ set(explained)
    return families


def check_histogram(name, samples):
    series = {}
    for sample, labels, value in samples:
        rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        series.setdefault(rest, {"buckets": []})
        if sample == name + "_bucket":
            series[rest]["buckets"].append((float(labels["le"]), value))
        else:
            series[rest][sample.removeprefix(name)] = value
    for labels, one in series.items():
        bounds = [bound for bound, _ in one["buckets"]]
        counts = [count for _, count in one["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, (name, labels)
        assert counts == sorted(counts) and counts[-1] == one["_count"], (name, labels)
        assert one["_sum"] >= 0 and (one["_sum"] > 0 or one["_count"] >= 0), (name, labels)


def promql(path):
    import promql_parser

    expressions = json.load(open(path, encoding="utf-8"))
    for expression in expressions:
        # Grafana puts its variables in before it asks.
        promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    return len(expressions)


def rules(path):
    import yaml

    return yaml.safe_load(open(path, encoding="utf-8"))


def otlp(path):
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    request = trace_service_pb2.ExportTraceServiceRequest()
    body = open(path, "rb").read()
    if path.endswith(".json"):
        # Ids are hexadecimal in OTLP's JSON, where protobuf's own has base64.
        import base64

        def ids(value):
            if isinstance(value, list):
                return [ids(item) for item in value]
            if isinstance(value, dict):
                hexed = ("traceId", "spanId", "parentSpanId")
                return {
                    k: base64.b64encode(bytes.fromhex(v)).decode() if k in hexed else ids(v)
                    for k, v in value.items()
                }
            return value

        json_format.ParseDict(ids(json.loads(body)), request)
    else:
        request.ParseFromString(body)
        assert request.SerializeToString(deterministic=True), "something was read"
        assert not list(unknown(request)), "no field that the official messages do not know"
    spans = []
    for resource in request.resource_spans:
        of = {a.key: a.value.string_value for a in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
                assert span.end_time_unix_nano >= span.start_time_unix_nano > 10**18, span
                spans.append(
                    {
                        "resource": of,
                        "scope": scope.scope.name,
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "name": span.name,
                        "kind": span.kind,
                        "flags": span.flags,
                        "status": span.status.code,
                        "error": span.status.message,
                        "ms": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
                        "attributes": {a.key: plain(a.value) for a in span.attributes},
                    }
                )
    return spans


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind)


def unknown(message):
    from google.protobuf import unknown_fields

    yield from unknown_fields.UnknownFieldSet(message)
    for field, value in message.ListFields():
        if field.message_type:
            # `ListFields` gives a list for a repeated field.
            for item in value if not hasattr(value, "ListFields") else [value]:
                yield from unknown(item)


if __name__ == "__main__":
    json.dump({"metrics": metrics, "promql": promql, "rules": rules, "otlp": otlp}[sys.argv[1]](sys.argv[2]), sys.stdout)
