//! The graph of a run: its steps in layers from left to right, and what each needs.
//!
//! Places are pixels; a wide graph scrolls in its box. Needs that follow from others are not drawn.

use std::collections::HashMap;

use serde::Serialize;

/// What is known of one step.
#[derive(Debug, Clone, Default)]
pub struct Step {
    pub id: String,
    /// The ids of the steps that come before it.
    pub needs: Vec<String>,
    /// It is there because a review asked for it: the way to it is drawn as a way back.
    pub revises: bool,
}

/// Where a step is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its place in the list of steps.
    pub step: usize,
    pub x: u32,
    pub y: u32,
}

/// A line from one step to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// An SVG path.
    pub path: String,
    /// From a review to the revision it asked for.
    pub revision: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    pub width: u32,
    pub height: u32,
    pub node_width: u32,
    pub node_height: u32,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

const NODE_WIDTH: u32 = 162;
const NODE_HEIGHT: u32 = 46;
const GAP_X: u32 = 30;
const GAP_Y: u32 = 12;
const MARGIN: u32 = 6;

/// A graph of more steps is not drawn: nobody could read it.
const MOST_STEPS: usize = 256;

/// Draws a graph; `None` when there is nothing to draw, or too much.
pub fn draw(steps: &[Step]) -> Option<Graph> {
    if steps.is_empty() || steps.len() > MOST_STEPS {
        return None;
    }
    let by_id: HashMap<&str, usize> = steps.iter().enumerate().map(|(n, s)| (s.id.as_str(), n)).collect();
    let needs: Vec<Vec<usize>> = steps
        .iter()
        .enumerate()
        .map(|(n, step)| {
            let known = step.needs.iter().filter_map(|id| by_id.get(id.as_str()).copied());
            let mut known: Vec<usize> = known.filter(|needed| *needed != n).collect();
            known.sort_unstable();
            known.dedup();
            known
        })
        .collect();
    let layers = layers(&needs);
    let nodes = places(&layers);
    let edges = edges(steps, &needs, &layers, &nodes);
    let right = nodes.iter().map(|node| node.x).max().unwrap_or(0);
    let bottom = nodes.iter().map(|node| node.y).max().unwrap_or(0);
    Some(Graph {
        width: right + NODE_WIDTH + MARGIN,
        height: bottom + NODE_HEIGHT + MARGIN,
        node_width: NODE_WIDTH,
        node_height: NODE_HEIGHT,
        nodes,
        edges,
    })
}

/// The layer of every step: one after the last of those it needs. A circle, which no run has, ends the
/// search all the same.
fn layers(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut layers = vec![0; needs.len()];
    for _ in 0..needs.len() {
        let mut changed = false;
        for (step, needed) in needs.iter().enumerate() {
            let layer = needed.iter().map(|&n| layers[n] + 1).max().unwrap_or(0).min(needs.len());
            changed |= layers[step] != layer;
            layers[step] = layer;
        }
        if !changed {
            break;
        }
    }
    layers
}

/// Columns of steps, each in the middle of the height.
fn places(layers: &[usize]) -> Vec<Node> {
    let columns = layers.iter().max().map_or(0, |last| last + 1);
    let mut members = vec![Vec::new(); columns];
    for (step, &layer) in layers.iter().enumerate() {
        members[layer].push(step);
    }
    members.retain(|column| !column.is_empty());
    let tall = |n: usize| n as u32 * (NODE_HEIGHT + GAP_Y) - GAP_Y;
    let height = members.iter().map(|column| tall(column.len())).max().unwrap_or(0);
    let mut nodes: Vec<Node> = Vec::with_capacity(layers.len());
    for (column, steps) in members.iter().enumerate() {
        let top = MARGIN + (height - tall(steps.len())) / 2;
        nodes.extend(steps.iter().zip(0..).map(|(&step, n)| Node {
            step,
            x: MARGIN + column as u32 * (NODE_WIDTH + GAP_X),
            y: top + n * (NODE_HEIGHT + GAP_Y),
        }));
    }
    nodes.sort_by_key(|node| node.step);
    nodes
}

fn edges(steps: &[Step], needs: &[Vec<usize>], layers: &[usize], nodes: &[Node]) -> Vec<Edge> {
    let before = all_before(needs, layers);
    let mut edges = Vec::new();
    for (step, needed) in needs.iter().enumerate() {
        for &from in needed {
            // Not drawn when another of its needs comes after this one.
            if needed.iter().any(|&other| other != from && before[other][from]) {
                continue;
            }
            edges.push(Edge { path: path(&nodes[from], &nodes[step]), revision: steps[step].revises });
        }
    }
    edges
}

/// For every step which others come before it, directly or not.
fn all_before(needs: &[Vec<usize>], layers: &[usize]) -> Vec<Vec<bool>> {
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|&step| layers[step]);
    let mut before = vec![vec![false; needs.len()]; needs.len()];
    for step in order {
        let mut mine = std::mem::take(&mut before[step]);
        for &needed in &needs[step] {
            mine[needed] = true;
            for (here, there) in mine.iter_mut().zip(&before[needed]) {
                *here |= there;
            }
        }
        before[step] = mine;
    }
    before
}

/// From the right side of one to the left side of the other.
fn path(from: &Node, to: &Node) -> String {
    let (x1, y1) = (from.x + NODE_WIDTH, from.y + NODE_HEIGHT / 2);
    let (x2, y2) = (to.x, to.y + NODE_HEIGHT / 2);
    if y1 == y2 {
        return format!("M{x1} {y1}H{x2}");
    }
    // What crosses several columns turns in the gap before its end.
    let turn = x2.saturating_sub(GAP_X / 2).max(x1);
    format!("M{x1} {y1}C{turn} {y1} {turn} {y2} {x2} {y2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, needs: &[&str]) -> Step {
        Step { id: id.to_owned(), needs: needs.iter().map(|n| (*n).to_owned()).collect(), revises: false }
    }

    /// A review chain with so many specialists and rounds.
    fn chain(specialists: usize, rounds: usize) -> Vec<Step> {
        let mut steps = vec![step("admin", &[])];
        let mut last = "admin".to_owned();
        for round in 1..=rounds {
            let names: Vec<String> = (0..specialists).map(|n| format!("s{n}-{round}")).collect();
            for name in &names {
                steps.push(Step { revises: round > 1, ..step(name, &[last.as_str()]) });
            }
            last = format!("qa-{round}");
            steps.push(step(&last, &names.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        steps.push(step("feedback", &[last.as_str()]));
        steps
    }

    #[test]
    fn steps_stand_in_layers_and_do_not_overlap() {
        for steps in [chain(1, 1), chain(3, 2), chain(8, 11)] {
            let graph = draw(&steps).unwrap();
            assert_eq!(graph.nodes.len(), steps.len());
            for (n, a) in graph.nodes.iter().enumerate() {
                assert_eq!(a.step, n);
                assert!(a.x + NODE_WIDTH <= graph.width && a.y + NODE_HEIGHT <= graph.height);
                for b in &graph.nodes[n + 1..] {
                    let apart = a.x.abs_diff(b.x) >= NODE_WIDTH || a.y.abs_diff(b.y) >= NODE_HEIGHT;
                    assert!(apart, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn what_needs_another_stands_to_its_right_and_revisions_are_marked() {
        let steps = chain(2, 2);
        let graph = draw(&steps).unwrap();
        let x = |id: &str| graph.nodes[steps.iter().position(|s| s.id == id).unwrap()].x;
        assert!(x("admin") < x("s0-1") && x("s0-1") == x("s1-1") && x("s1-1") < x("qa-1"));
        assert!(x("qa-1") < x("s0-2") && x("qa-2") < x("feedback"));
        assert_eq!(graph.edges.iter().filter(|edge| edge.revision).count(), 2);
        assert_eq!(graph.edges.len(), 2 + 2 + 2 + 2 + 1);
    }

    #[test]
    fn a_need_that_follows_from_others_is_not_drawn() {
        let steps = [step("a", &[]), step("b", &["a"]), step("c", &["a", "b"])];
        assert_eq!(draw(&steps).unwrap().edges.len(), 2);
    }

    #[test]
    fn circles_strangers_and_crowds_do_no_harm() {
        let circle = [step("a", &["b", "a"]), step("b", &["a", "gone"])];
        assert_eq!(draw(&circle).unwrap().nodes.len(), 2);
        assert!(draw(&[]).is_none());
        assert!(draw(&chain(8, 40)).is_none());
    }
}
