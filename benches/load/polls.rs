//! What a poll costs: beside the control, and beside itself while backends hang.

use crate::{
    figures::{Figures, ratios},
    scene::Scene,
    servers::Server,
    service::Service,
    table::Row,
    wrk::{Load, Loaded, wrk},
};

const ROUNDS: usize = 7;

/// The service and the control, loaded in turn.
pub(crate) fn beside_the_control(scene: &Scene) -> Vec<Row> {
    let ours = Service::allswell(&scene.configuration(""));
    let control = Service::control(&ours.await_status(200).body);
    let kept = turns(&ours, &control, Load::KEPT);
    let anew = turns(&ours, &control, Load { anew: true, ..Load::KEPT });
    let ratio = |turns: &[[Turn; 2]], of: fn(&Turn) -> f64| {
        ratios(&turns.iter().map(|[ours, control]| (of(ours), of(control))).collect::<Vec<_>>())
    };
    let rate = ratio(&kept, |turn| turn.loaded.per_second);
    let p99 = ratio(&kept, |turn| turn.loaded.p99.as_secs_f64());
    let anew = ratio(&anew, |turn| turn.loaded.per_second);
    let processor = ratio(&kept, |turn| turn.per_thousand);
    let of = |which: usize, of: fn(&Turn) -> f64, digits| kept.iter().map(|turns| of(&turns[which])).collect::<Figures>().shown(digits);
    let (rates, times) = (|which| of(which, |turn| turn.loaded.per_second / 1e3, 1), |which| of(which, |turn| turn.per_thousand * 1e3, 1));
    vec![
        Row::at_least(
            "`/health` requests per second, 32 connections kept",
            "≥ 1.0 × control",
            format!("{} ×; {} thousand a second, the control {}", rate.shown(2), rates(0), rates(1)),
            rate.median(),
            1.0,
        ),
        Row::at_most(
            "`/health` p99, the same load",
            "≤ 1.0 × control",
            format!(
                "{} ×; {} ms, the control {}",
                p99.shown(2),
                of(0, |turn| turn.loaded.p99.as_secs_f64() * 1e3, 2),
                of(1, |turn| turn.loaded.p99.as_secs_f64() * 1e3, 2)
            ),
            p99.median(),
            1.0,
        ),
        Row::at_least(
            "requests per second, each on a connection of its own, 32 at a time",
            "≥ 0.95 × control",
            format!("{} ×", anew.shown(2)),
            anew.median(),
            0.95,
        ),
        Row::at_most(
            "processor time for 1,000 polls",
            "≤ 1.1 × control",
            format!("{} ×; {} ms, the control {}", processor.shown(2), times(0), times(1)),
            processor.median(),
            1.1,
        ),
    ]
}

/// A load, and what it cost in seconds of a processor for a thousand requests.
struct Turn {
    loaded: Loaded,
    per_thousand: f64,
}

fn turns(ours: &Service, control: &Service, load: Load) -> Vec<[Turn; 2]> {
    // The first load warms up caches and branch predictors, and is not counted.
    let warm = Load { seconds: 1, ..load };
    for service in [ours, control] {
        wrk(service.address, warm);
    }
    (0..ROUNDS).map(|_| [ours, control].map(|service| turn(service, load))).collect()
}

fn turn(service: &Service, load: Load) -> Turn {
    let before = service.processor_time();
    let loaded = wrk(service.address, load);
    Turn { loaded, per_thousand: service.processor_time().saturating_sub(before).as_secs_f64() / loaded.requests * 1e3 }
}

/// The service while all is well, while one backend hangs, and while all do.
pub(crate) fn while_backends_hang(scene: &Scene) -> Vec<Row> {
    let service = Service::allswell(&scene.configuration("interval = \"1s\"\ntimeout = \"500ms\""));
    let (mut one, mut all) = (Vec::new(), Vec::new());
    let p99 = || wrk(service.address, Load::KEPT).p99.as_secs_f64();
    // One p99 is seldom like the next, and they are compared with each other alone.
    for _ in 0..ROUNDS * 2 {
        service.await_status(200);
        let well = p99();
        scene.redis.pause();
        service.await_status(500);
        one.push((p99(), well));
        scene.all().into_iter().for_each(Server::pause);
        crate::helpers::eventually("all are known to hang", || service.get("/health").body.contains("4 of 4").then_some(()));
        all.push((p99(), well));
        scene.all().into_iter().for_each(Server::resume);
    }
    service.await_status(200);
    [("one of four backends hangs", one), ("all four hang", all)]
        .map(|(what, rounds)| {
            let ratio = ratios(&rounds);
            let figure = format!("`/health` p99 while {what}");
            Row::at_most(&figure, "≤ 1.1 × when all is well", format!("{} ×", ratio.shown(2)), ratio.median(), 1.1)
        })
        .into()
}
