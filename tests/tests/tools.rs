// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-smi` in a guest: each of its commands, as people and programs read it.

#![allow(clippy::unwrap_used)]

use augur_e2e::{Builder, TestGuest};
use serde_json::Value;

fn json(guest: &TestGuest, words: &[&str]) -> Value {
    serde_json::from_str(&guest.succeed(words)).unwrap()
}

#[test]
fn augur_smi_shows_cards_processes_places_and_events_and_resets() {
    let guest = Builder::new("smi").cards(2).boot();
    let overview = json(&guest, &["augur-smi", "--json"]);
    assert_eq!(overview["cards"].as_array().unwrap().len(), 2, "{overview}");
    let one = json(
        &guest,
        &["augur-smi", "--json", "--device", "/dev/accel/accel1"],
    );
    assert_eq!(one["cards"].as_array().unwrap().len(), 1, "{one}");
    let table = guest.succeed(&["augur-smi", "--counters"]);
    assert!(
        table.contains("accel0") && table.contains("accel1"),
        "{table}"
    );

    let busy = guest.begin_until(&["augur-test", "dma-endless"], "READY round");
    let processes = guest.succeed(&["augur-smi", "ps"]);
    assert!(processes.contains("augur-test"), "{processes}");
    let sampled = guest.succeed(&["augur-smi", "--json", "ps", "--sample", "0.5"]);
    assert!(sampled.contains("augur-test"), "{sampled}");
    let events = guest.succeed(&["augur-smi", "events", "--count", "20"]);
    assert_eq!(events.lines().count(), 20, "{events}");
    guest.machine().signal(&busy, 15).unwrap();
    guest.wait_end(&busy);

    let places = guest.succeed(&["augur-smi", "topo"]);
    assert_eq!(places.matches("/dev/accel/").count(), 2, "{places}");
    json(&guest, &["augur-smi", "--json", "topo"]);
    // Each time is a line.
    let watched = guest.shell("augur-smi --json --watch 0.2 | head -n 3");
    assert_eq!(watched.lines().count(), 3, "{watched}");
    for line in watched.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    let reset = guest.succeed(&["augur-smi", "reset", "--device", "/dev/accel/accel1"]);
    assert!(
        reset.contains("accel1") && !reset.contains("accel0"),
        "{reset}"
    );
    let all = json(&guest, &["augur-smi", "--json", "reset"]);
    assert_eq!(all["reset"].as_array().unwrap().len(), 2, "{all}");
    let wrong = guest.output(&["augur-smi", "--device", "/dev/null"]);
    assert_eq!(wrong.code, 3);
    assert_eq!(guest.output(&["augur-smi", "--watch=-1"]).code, 2);
    guest.finish();
}
