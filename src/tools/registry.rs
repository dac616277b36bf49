//! The tools that this process knows, by name.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;

use super::{
    Calculator, CurrentTime, Patience, Tool, Toolbox, Unavailable, UnknownTools,
    mcp::{McpServer, McpTool},
};
use crate::{clock::Clock, config::McpConfig};

/// All tools of this process.
pub struct Registry {
    built_in: Vec<Arc<dyn Tool>>,
    servers: Vec<Arc<McpServer>>,
}

/// What a name of a tool means.
enum Named<'a> {
    BuiltIn(&'a Arc<dyn Tool>),
    /// All tools of a server, or one.
    Mcp(&'a Arc<McpServer>, Option<&'a str>),
}

impl Registry {
    /// The built-in tools, and those of MCP servers. Nobody is connected to yet.
    pub fn new(clock: Arc<dyn Clock>, servers: Vec<McpConfig>) -> Self {
        Self::with_patience(clock, servers, Patience::default())
    }

    /// The same with more or less patience with the servers.
    pub fn with_patience(clock: Arc<dyn Clock>, servers: Vec<McpConfig>, patience: Patience) -> Self {
        let server = |config| Arc::new(McpServer::new(config, patience));
        Self {
            built_in: vec![Arc::new(Calculator::new()), Arc::new(CurrentTime::new(clock))],
            servers: servers.into_iter().map(server).collect(),
        }
    }

    /// Every name that can be asked for, but for those of single tools of servers.
    pub fn names(&self) -> Vec<String> {
        let built_in = self.built_in.iter().map(|tool| tool.spec().name.clone());
        built_in.chain(self.servers.iter().map(|server| format!("mcp:{}", server.name()))).collect()
    }

    /// Whether tools of these names can be had, as far as that can be said without asking a server.
    pub fn check(&self, names: &[String]) -> Result<(), UnknownTools> {
        let unknown: Vec<String> = names.iter().filter(|name| self.find(name).is_none()).cloned().collect();
        if unknown.is_empty() { Ok(()) } else { Err(UnknownTools { names: unknown, known: self.names() }) }
    }

    fn find<'a>(&'a self, name: &'a str) -> Option<Named<'a>> {
        let Some(of_server) = name.strip_prefix("mcp:") else {
            return self.built_in.iter().find(|tool| tool.spec().name == name).map(Named::BuiltIn);
        };
        let (server, tool) = match of_server.split_once('/') {
            Some((server, tool)) => (server, Some(tool)),
            None => (of_server, None),
        };
        let server = self.servers.iter().find(|known| known.name() == server)?;
        tool.is_none_or(|tool| server.allows(tool)).then_some(Named::Mcp(server, tool))
    }

    /// What an agent may use that has been given these names. Servers are connected to for that; one that
    /// cannot be reached is named in [`Toolbox::unavailable`].
    pub async fn toolbox(&self, names: &[String]) -> Result<Toolbox, UnknownTools> {
        self.check(names)?;
        let mut toolbox = Toolbox::default();
        // What is wanted of every server: all of it, or some tools.
        let mut wanted: BTreeMap<&str, (&Arc<McpServer>, Vec<Option<&str>>)> = BTreeMap::new();
        for named in names.iter().filter_map(|name| self.find(name)) {
            match named {
                Named::BuiltIn(tool) => toolbox = toolbox.with(Arc::clone(tool)),
                Named::Mcp(server, tool) => {
                    wanted.entry(server.name()).or_insert_with(|| (server, Vec::new())).1.push(tool);
                }
            }
        }
        let listed = join_all(
            wanted.into_values().map(|(server, tools)| async move { (server, tools, server.tools().await) }),
        );
        for (server, tools, listed) in listed.await {
            toolbox = match listed {
                Ok(listed) => add(toolbox, server, &tools, listed),
                Err(error) => toolbox.without(Unavailable {
                    name: format!("mcp:{}", server.name()),
                    reason: error.to_string(),
                }),
            };
        }
        Ok(toolbox)
    }

    /// Ends the connections to MCP servers, and those servers that are children of this process.
    pub async fn stop(&self) {
        join_all(self.servers.iter().map(|server| server.stop())).await;
    }
}

/// The toolbox with those tools of a server that are wanted and exist.
fn add(
    mut toolbox: Toolbox,
    server: &Arc<McpServer>,
    wanted: &[Option<&str>],
    listed: Vec<rmcp::model::Tool>,
) -> Toolbox {
    for tool in wanted.iter().flatten().filter(|tool| !listed.iter().any(|listed| listed.name == **tool)) {
        toolbox = toolbox.without(Unavailable {
            name: format!("mcp:{}/{tool}", server.name()),
            reason: "the server has no such tool".to_owned(),
        });
    }
    for tool in listed {
        if wanted.iter().any(|wanted| wanted.is_none_or(|wanted| wanted == tool.name)) {
            let tool = McpTool::new(server, tool, |name| toolbox.has(name));
            toolbox = toolbox.with(Arc::new(tool));
        }
    }
    toolbox
}
