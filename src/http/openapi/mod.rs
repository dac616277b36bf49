//! The OpenAPI 3.1 document, made from the handlers. What all operations have in common (errors,
//! the key, headers) is added here, so that no handler can forget it.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, Header, OpenApi as Document, Ref, Server,
        path::{Operation, ParameterIn},
        schema::{Object, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    api::{
        agents, analytics, audit, backups, events, exports, jobs, keys, metrics, providers, queues, reports,
        results, reviews, root, system, tasks, uploads, usage, workers, workflows,
    },
    error::{FieldError, ProblemBody},
    middleware::auth,
    rights::{self, Needed},
};
use crate::model::Scope;

mod bounds;
mod errors;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ProductForge",
        description = "A brief becomes reviewed work: agents, workflows, tasks and their results.\n\n\
            With an API key set, every operation but those marked as public needs a key, in `X-API-Key` or as \
            `Authorization: Bearer`: that of `API_KEY`, or a named one of the scope that the operation asks for, `read`, \
            `run` or `admin`, each of which may do what those before it may. Errors are `application/problem+json`; `detail` is a sentence, and for 422 \
            the list of all bad fields. Every path works with and without a slash at its end.",
    ),
    paths(
        root::index,
        system::ping, system::health, system::status, system::verify,
        backups::make,
        usage::get, providers::list, providers::reset,
        workers::list, workers::drain, queues::list, queues::pause, queues::resume,
        jobs::list, jobs::get, jobs::partial, jobs::cancel, jobs::retry, jobs::delete, jobs::bulk::bulk,
        keys::create, keys::list, keys::me, keys::get, keys::revoke,
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
        metrics::text, metrics::json, audit::list,
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
        (name = "keys", description = "Who may do what"),
        (name = "audit", description = "Who has changed what"),
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
        // What an absent list means as well, but tools ask for one.
        document.servers = Some(vec![Server::new("/")]);
        let components = document.components.get_or_insert_default();
        let about = "The key that the server was started with (`API_KEY`), or a named one (`POST /keys`)";
        components.add_security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-API-Key", about))),
        );
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let mut id = Header::new(Object::with_type(Type::String));
        id.description = Some("The request's name; send your own to find it again in the log".to_owned());
        components.headers.insert(REQUEST_ID.to_owned(), id.into());
        components.responses.extend(errors::answers());
        bounds::add(components);
        for (path, item) in &mut document.paths.paths {
            let operations = [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("put", &mut item.put),
                ("patch", &mut item.patch),
                ("delete", &mut item.delete),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    complete(operation, path, method);
                }
            }
        }
    }
}

/// The name of the header in the document's components.
const REQUEST_ID: &str = "RequestId";

fn request_id() -> openapi::RefOr<Header> {
    openapi::RefOr::Ref(Ref::new(format!("#/components/headers/{REQUEST_ID}")))
}

fn complete(operation: &mut Operation, path: &str, method: &str) {
    let public = auth::is_public(path);
    let writes = method != "get";
    let has_query =
        operation.parameters.iter().flatten().any(
            |p| matches!(p, openapi::RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query),
        );
    let has_body = operation.request_body.is_some();
    if let Some(openapi::RefOr::T(body)) = &mut operation.request_body
        && MAY_BE_EMPTY.iter().any(|end| path.ends_with(end))
    {
        body.required = Some(openapi::Required::False);
    }
    for response in operation.responses.responses.values_mut() {
        if let openapi::RefOr::T(response) = response {
            response.headers.insert("X-Request-ID".to_owned(), request_id());
        }
    }
    let errors = errors::of(errors::Traits {
        public,
        probe: matches!(path, "/system/ping" | "/system/health"),
        from_memory: public,
        has_id: path.contains('{'),
        has_query,
        has_body,
        writes,
    });
    for (status, answer) in errors {
        operation.responses.responses.entry(status.to_owned()).or_insert(answer);
    }
    let scope = match rights::listed(method, path) {
        Some(Needed::Nothing) => None,
        Some(Needed::Scope(scope)) => Some(scope),
        None => Some(Scope::Admin),
    };
    operation.security = Some(match scope {
        Some(scope) => {
            ["api_key", "bearer"].map(|scheme| SecurityRequirement::new(scheme, [scope.as_str()])).into()
        }
        None => Vec::new(),
    });
}
