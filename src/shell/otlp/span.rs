//! A committed batch as a span: its name, ids, times, attributes and links.
//!
//! Source: OpenTelemetry, "Semantic conventions for messaging spans", batches: a span of a batch has no parent, and a link to
//! each sender's span.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SpanData, SpanLinks};

use crate::deliver::{BatchCounts, BatchSpan, SpanSource, TraceParent};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who speaks.
pub fn resource(instance: &str) -> Resource {
    let attributes = [
        KeyValue::new("service.version", VERSION),
        KeyValue::new("service.instance.id", instance.to_owned()),
    ];
    // The other builder asks the environment.
    Resource::builder_empty().with_service_name("tripline").with_attributes(attributes).build()
}

/// Which of its parts speaks.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("tripline").with_version(VERSION).build()
}

/// `span` as the exporter takes it, with ids of its own.
pub fn span_data(span: BatchSpan, scope: &InstrumentationScope) -> SpanData {
    let BatchSpan { source, ended, took, counts, links } = span;
    let ids = RandomIdGenerator::default();
    let ended = UNIX_EPOCH + Duration::from_millis(ended.0.max(0) as u64);
    let mut own_links = SpanLinks::default();
    own_links.links = links.iter().map(link).collect();
    SpanData {
        span_context: SpanContext::new(
            ids.new_trace_id(),
            ids.new_span_id(),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Consumer,
        name: format!("process {}", source.input).into(),
        start_time: ended.checked_sub(took).unwrap_or(UNIX_EPOCH),
        end_time: ended,
        attributes: attributes(&source, counts),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: own_links,
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    }
}

fn attributes(source: &SpanSource, counts: BatchCounts) -> Vec<KeyValue> {
    let SpanSource { stream, input, group, revision } = source;
    let text = |key, value: &str| KeyValue::new(key, value.to_owned());
    let number = |key, value: u64| KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX));
    vec![
        text("messaging.system", "kafka"),
        text("messaging.operation.type", "process"),
        text("messaging.operation.name", "process"),
        text("messaging.destination.name", input),
        text("messaging.consumer.group.name", group),
        number("messaging.batch.message_count", counts.records),
        text("tripline.stream", stream),
        text("tripline.revision", revision),
        number("tripline.flagged", counts.flagged),
        number("tripline.quarantined", counts.quarantined),
        number("tripline.dead_lettered", counts.dead_lettered),
    ]
}

fn link(&TraceParent { trace, span, flags }: &TraceParent) -> Link {
    let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
    let flags = TraceFlags::new(flags);
    Link::with_context(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}
