//! From the results of all polls to the findings.

use super::{
    causes::{Cause, Context, diagnose},
    client::Client,
    client_status::client_status,
    finding::Finding,
    result::{ClientResult, labels},
    target::Target,
    trials::TrialPolls,
    warnings,
};
use std::collections::BTreeMap;

/// Polls a target once, as a client does.
pub async fn poll_as(client: Client, target: &Target) -> ClientResult {
    let request = client.request(target);
    let outcome = request.send().await;
    let result = ClientResult::new(client, request, outcome);
    ClientResult { status: client_status(&result), ..result }
}

/// Finds out why clients report unhealthy, and which clients report healthy for the wrong reason. Sends trial polls to the target.
pub async fn examine(target: &Target, results: &[ClientResult]) -> Vec<Finding> {
    let mut trials = TrialPolls::new(target);
    // Target groups have paths of their own, and what is wrong with one path may be right with another.
    let mut causes: BTreeMap<(Cause, &str), Vec<&ClientResult>> = BTreeMap::new();
    for result in results.iter().filter(|result| !result.is_healthy) {
        causes.entry((diagnose(result, &mut trials).await, result.path())).or_default().push(result);
    }
    let mut findings: Vec<Finding> = causes.iter().map(|((cause, _), affected)| failing(target, cause, affected, results)).collect();
    findings.extend(causes.iter().find_map(|((cause, _), affected)| warnings::forwarded_proto_ignored(cause, affected)));
    findings.extend(warnings::all(results, &mut trials).await);
    findings
}

fn failing(target: &Target, cause: &Cause, affected: &[&ClientResult], all: &[ClientResult]) -> Finding {
    let explanation = cause.explain(&Context { target, affected, all });
    Finding {
        code: explanation.code,
        failing: true,
        clients: labels(affected.iter().copied()),
        title: explanation.title,
        evidence: explanation.evidence,
        fix: explanation.fix,
    }
}
