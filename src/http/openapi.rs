//! The OpenAPI 3.1 document, made from the handlers. What all operations have in common (errors,
//! the key, headers) is added here, so that no handler can forget it.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, Content, Header, OpenApi as Document, Ref, Response, ResponseBuilder,
        path::{Operation, ParameterIn},
        schema::{Object, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    api::{
        agents, analytics, events, exports, jobs, metrics, providers, queues, reports, results, reviews,
        root, system, tasks, uploads, usage, workers, workflows,
    },
    error::{FieldError, PROBLEM_JSON, ProblemBody},
    middleware::auth,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ProductForge",
        description = "A brief becomes reviewed work: agents, workflows, tasks and their results.\n\n\
            With an API key set, every operation but those marked as public needs it, in `X-API-Key` or as \
            `Authorization: Bearer`. Errors are `application/problem+json`; `detail` is a sentence, and for 422 \
            the list of all bad fields. Every path works with and without a slash at its end.",
    ),
    paths(
        root::index,
        system::ping, system::health, system::status, system::verify,
        usage::get, providers::list, providers::reset,
        workers::list, workers::drain, queues::list, queues::pause, queues::resume,
        jobs::list, jobs::get, jobs::partial, jobs::cancel, jobs::retry, jobs::delete, jobs::bulk::bulk,
        agents::ping, agents::list, agents::register, agents::get, agents::delete,
        workflows::start, workflows::list, workflows::get, workflows::calls, workflows::set_budget,
        workflows::control::pause, workflows::control::resume, workflows::control::cancel,
        workflows::control::retry, workflows::control::approve, workflows::control::reject,
        workflows::control::fork, workflows::control::delete, workflows::bulk::bulk,
        events::workflow, events::all,
        reviews::ask,
        tasks::submit,
        results::ping, results::list, results::get_task, results::by_workflow, results::by_agent, results::get,
        results::pin, results::unpin, results::delete,
        uploads::ping, uploads::receive, uploads::list, uploads::get, uploads::report, uploads::delete,
        exports::results, exports::workflow, exports::performance,
        analytics::summary, analytics::trends, analytics::agents, reports::generate, reports::list, reports::get,
        metrics::text, metrics::json,
    ),
    components(schemas(ProblemBody, FieldError, jobs::bulk::BulkFilter)),
    tags(
        (name = "system", description = "Alive, ready, set up well?"),
        (name = "agents", description = "Named personas that do the work"),
        (name = "workflows", description = "Briefs and the chains of steps they become"),
        (name = "tasks", description = "One job asked of one agent"),
        (name = "reviews", description = "QA looks at an earlier result"),
        (name = "jobs", description = "Queued units of work: watch, cancel, retry, delete"),
        (name = "queues", description = "What waits, and since when"),
        (name = "workers", description = "Who runs what"),
        (name = "uploads", description = "Archives of code: sent, inspected, analysed"),
        (name = "exports", description = "Results as files"),
        (name = "analytics", description = "How much was done, how fast and by whom"),
        (name = "results", description = "The one terminal document of every job"),
    ),
    modifiers(&Common),
)]
struct Described;

/// Operations whose body may be left out.
const MAY_BE_EMPTY: [&str; 11] = [
    "/drain",
    "/approve",
    "/reject",
    "/cancel",
    "/retry",
    "/pause",
    "/resume",
    "/reset",
    "/pin",
    "/unpin",
    "/generate",
];

/// The document.
pub fn document() -> Document {
    Described::openapi()
}

/// What all operations have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        document.servers = None;
        let components = document.components.get_or_insert_default();
        let about = "The key that the server was started with (`API_KEY`)";
        components.add_security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-API-Key", about))),
        );
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        for (path, item) in &mut document.paths.paths {
            let operations = [&mut item.get, &mut item.post, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                complete(operation, path);
            }
        }
    }
}

fn complete(operation: &mut Operation, path: &str) {
    let public = auth::is_public(path);
    let has_id = path.contains('{');
    let has_query =
        operation.parameters.iter().flatten().any(
            |p| matches!(p, openapi::RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query),
        );
    let has_body = operation.request_body.is_some();
    let is_delete_of_job = operation.operation_id.as_deref() == Some("delete_job");
    if let Some(openapi::RefOr::T(body)) = &mut operation.request_body
        && MAY_BE_EMPTY.iter().any(|end| path.ends_with(end))
    {
        body.required = Some(openapi::Required::False);
    }
    let from_memory = public || path.ends_with("/ping");
    let mut add = |status: &str, description: &str, detail: serde_json::Value| {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| problem(status, path, description, detail).into());
    };
    if !public {
        add("401", "The key is missing or wrong", "Unauthorized".into());
    }
    if has_id {
        let words = match path.split('/').nth(1) {
            Some("agents") => "Agent 'nobody' not found",
            Some("workflows") => "Workflow not found",
            Some("jobs") => "Job 'nothing' not found",
            Some("upload") => "Upload 'nothing' not found",
            Some("workers") => "Worker 'nothing' not found",
            Some("queues") => "Queue 'nothing' not found; there are high, normal and low",
            _ => "Result for job 'nothing' not found",
        };
        add("404", "There is no such thing", words.into());
    }
    if has_body || has_query {
        let missing = FieldError::new("missing", vec!["body".into(), "job".into()], "Field required");
        let limit = FieldError::new(
            "int_parsing",
            vec!["query".into(), "limit".into()],
            "Input should be a valid integer, unable to parse string as an integer",
        );
        let (error, input) = if has_body { (missing, "{}") } else { (limit, "abc") };
        add("422", "Bad fields, each of them named", serde_json::json!([error.input(input.into())]));
    }
    if has_body {
        add("408", "The body did not arrive in time", "The body did not arrive in time".into());
        add("413", "The body is too large", "The body is too large".into());
        add("507", "The store is full; nothing was written", "The store is full".into());
    }
    if path.starts_with("/jobs/{") && path != "/jobs/{job_id}" || is_delete_of_job {
        let why = "Its state does not allow it, or somebody else changed it at the same time";
        add("409", why, "job nothing has completed already".into());
    }
    if has_body || path == "/agents/{name}" {
        add("409", "Somebody else changed the same thing at the same time", "Try again".into());
    }
    add("500", "Something went wrong in the server", "Something went wrong in the server".into());
    if !from_memory {
        let away = "The store is not available right now; try again in a moment";
        add("503", "The store is away; see `Retry-After`", away.into());
    }
    for response in operation.responses.responses.values_mut() {
        if let openapi::RefOr::T(response) = response {
            let mut id = Header::new(Object::with_type(Type::String));
            id.description = Some("The request's name; send your own to find it again in the log".to_owned());
            response.headers.insert("X-Request-ID".to_owned(), id.into());
        }
    }
    if !public {
        let no_scopes: [&str; 0] = [];
        operation.security = Some(vec![
            SecurityRequirement::new("api_key", no_scopes),
            SecurityRequirement::new("bearer", no_scopes),
        ]);
    }
}

fn problem(status: &str, path: &str, description: &str, detail: serde_json::Value) -> Response {
    let (slug, title) = match status {
        "401" => ("unauthorized", "Unauthorized"),
        "404" => ("not-found", "Not Found"),
        "408" => ("slow-body", "Request Timeout"),
        "409" => ("conflict", "Conflict"),
        "413" => ("body-too-large", "Payload Too Large"),
        "422" => ("validation", "Unprocessable Entity"),
        "503" => ("store-unavailable", "Service Unavailable"),
        "507" => ("store-full", "Insufficient Storage"),
        _ => ("internal", "Internal Server Error"),
    };
    let example = serde_json::json!({
        "type": format!("urn:productforge:problem:{slug}"), "title": title,
        "status": status.parse::<u16>().unwrap_or(500), "detail": detail, "instance": path,
        "request_id": "7b0c9f0e-8a55-4f43-9a3b-7d0a64a1a9d3",
    });
    let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
    content.example = Some(example);
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}
