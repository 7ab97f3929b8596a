//! What follows an attempt, as tables.

use super::*;
use crate::core::job::Policy;

fn policy(max: u32) -> Policy {
    let retry = Retry { max: RetryMax::Times(max), jitter_milli: 0, ..Retry::default() };
    Policy { retry, skip_exit: Box::from([75]), no_retry_exit: Box::from([2]), ..Policy::default() }
}

fn what_follows(policy: &Policy, ended: &Ended<'_>) -> Next {
    policy.after(ended).0
}

#[test]
fn the_plan_is_what_next_will_answer() {
    let policy = policy(3);
    let failed = Outcome::Exited(1);
    let first = ended(&failed, 1, Some(4));
    let (Next::RetryAt(due_at), budget) = policy.after(&first) else {
        panic!("it is retried");
    };
    let waiting = Waiting { run: first.run, attempt: first.attempt, budget, due_at };
    let plan = policy.plan(&waiting, 10);
    assert_eq!(
        plan.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(),
        [first.attempt + 1, first.attempt + 2, first.attempt + 3]
    );
    for (nth, (attempt, at)) in (2..).zip(&plan[..2]) {
        let end = Ended { attempt: *attempt, ended_at: *at, ..ended(&failed, nth, Some(4)) };
        assert_eq!(what_follows(&policy, &end), Next::RetryAt(plan[nth as usize - 1].1));
    }
    assert_eq!(policy.plan(&waiting, 1).len(), 1);
    let until = |nth: usize| plan[nth].1.since(BEGAN_AT);
    let moment = Duration::from_millis(1);
    for (limit, count) in [(until(0), 1), (until(1) - moment, 1), (until(1), 2)] {
        let retry = Retry { give_up_after: Some(limit), ..policy.retry.clone() };
        let impatient = Policy { retry, ..policy.clone() };
        assert_eq!(impatient.plan(&waiting, 10).len(), count, "{limit:?}");
    }
}

#[test]
fn a_fresh_budget_has_one_attempt_more_than_retries() {
    assert_eq!(policy(0).attempts_max(), Some(1));
    assert_eq!(policy(3).attempts_max(), Some(4));
    let retry = Retry { max: RetryMax::Unlimited, ..Retry::default() };
    assert_eq!(Policy { retry, ..Policy::default() }.attempts_max(), None);
}

#[test]
fn a_success_with_unfit_output_is_a_failure_and_nothing_to_do_stays_so() {
    let unfit = |outcome| Ended { is_unfit: true, ..ended(outcome, 1, Some(3)) };
    let retry = Next::RetryAt(Wall::from_secs(1010));
    assert_eq!(what_follows(&policy(2), &unfit(&Outcome::Exited(0))), retry);
    let skipped = Next::Finish(Verdict::Skipped(Reason::Exit));
    assert_eq!(what_follows(&policy(2), &unfit(&Outcome::Exited(75))), skipped);
}

#[test]
fn a_delay_that_does_not_grow_is_known_at_once_whatever_the_attempt() {
    let constant = Retry { factor_milli: 1000, jitter_milli: 0, ..Retry::default() };
    assert_eq!(constant.delay_after(u32::MAX, 0), constant.delay);
}

#[test]
fn an_outcome_is_told_with_what_kept_the_command_from_starting() {
    assert_eq!(describe(&Outcome::Exited(4)), "exit 4");
    let outcome = Outcome::SpawnFailed { exit_code: Some(127), error: "no such file".into() };
    assert_eq!(describe(&outcome), "not started: no such file");
}

const BEGAN_AT: Wall = Wall::from_secs(900);

/// The end of the nth attempt of a budget.
fn ended(outcome: &Outcome, nth: u32, max: Option<u32>) -> Ended<'_> {
    let began_at = Some(BEGAN_AT);
    Ended {
        run: 1,
        attempt: nth,
        budget: Budget { charged: nth - 1, max, began_at, ..Budget::default() },
        outcome,
        ended_at: Wall::from_secs(1000),
        stopped: None,
        was_struck: false,
        retry_after: None,
        is_unfit: false,
        is_removed: false,
    }
}

#[test]
fn each_end_is_charged_and_what_is_free_is_granted_once_more() {
    let failed = Outcome::Exited(1);
    let before = Budget { put_off: 1, lost: 1, ..ended(&failed, 2, Some(3)).budget };
    let after = Budget { charged: 2, ..before };
    let (stopped, was_struck) = (Some(Stopped::Shutdown), true);
    let asks = Some(Duration::from_secs(5));
    let end = |outcome| Ended { budget: before, ..ended(outcome, 2, Some(3)) };
    for (ended, budget) in [
        (end(&failed), after),
        (end(&Outcome::Lost), Budget { lost: 2, ..after }),
        (Ended { stopped, was_struck, ..end(&failed) }, Budget { max: Some(4), ..after }),
        (Ended { retry_after: asks, ..end(&failed) }, Budget { max: Some(4), put_off: 2, ..after }),
        (end(&Outcome::Exited(0)), Budget { began_at: None, ..after }),
        (Ended { is_removed: true, ..end(&failed) }, Budget { began_at: None, ..after }),
    ] {
        assert_eq!(policy(2).after(&ended).1, budget, "{ended:?}");
    }
    let unlimited = Ended { stopped, was_struck, ..ended(&failed, 2, None) };
    assert_eq!(policy(2).after(&unlimited).1.max, None);
}

#[test]
fn a_budget_begins_with_its_first_claim() {
    let (now, later) = (Wall::from_secs(1), Wall::from_secs(2));
    let begun = Budget::default().at_claim(1, now);
    assert_eq!(begun.began_at, Some(now));
    assert_eq!(begun.at_claim(1, later).began_at, Some(later), "the first was taken back");
    assert_eq!(begun.at_claim(2, later).began_at, Some(now));
    let used =
        Budget { charged: 4, max: Some(4), lost: 2, put_off: 3, began_at: Some(now), before: 1 };
    let fresh = used.renewed(Some(3));
    assert_eq!(fresh, Budget { charged: 4, max: Some(7), before: 4, ..Budget::default() });
    assert_eq!(fresh.at_claim(5, later).began_at, Some(later));
    assert_eq!(used.renewed(None).max, None);
}

#[test]
fn an_occurrence_of_a_removed_job_is_not_tried_again() {
    let removed = |outcome| Ended { is_removed: true, ..ended(outcome, 1, Some(1)) };
    let failed = Next::Finish(Verdict::Failed(Reason::Exit));
    assert_eq!(
        what_follows(&policy(0), &removed(&Outcome::Exited(0))),
        Next::Finish(Verdict::Succeeded)
    );
    assert_eq!(what_follows(&policy(0), &removed(&Outcome::Exited(1))), failed);
    let again = Ended { is_removed: true, ..ended(&Outcome::Exited(1), 1, Some(2)) };
    let skipped = Next::Finish(Verdict::Skipped(Reason::JobRemoved));
    assert_eq!(what_follows(&policy(1), &again), skipped);
}

fn lost() -> Outcome {
    Outcome::Lost
}

#[test]
fn an_outcome_decides_what_follows() {
    let timed_out = Outcome::TimedOut { exit_code: Some(0), signal: None };
    let not_found = Outcome::SpawnFailed { exit_code: Some(127), error: "x".into() };
    let retry = |secs: i64| Next::RetryAt(Wall::from_secs(1000 + secs));
    let failed = |reason| Next::Finish(Verdict::Failed(reason));
    let table = [
        (Outcome::Exited(0), 1, Some(3), Next::Finish(Verdict::Succeeded)),
        (Outcome::Exited(75), 1, Some(3), Next::Finish(Verdict::Skipped(Reason::Exit))),
        (Outcome::Exited(1), 1, Some(3), retry(10)),
        (Outcome::Exited(1), 2, Some(3), retry(20)),
        (Outcome::Exited(1), 3, Some(3), failed(Reason::Exit)),
        (Outcome::Exited(1), 9, None, retry(2560)),
        (Outcome::Exited(1), 40, None, retry(3600)),
        (Outcome::Exited(2), 1, Some(3), failed(Reason::Exit)),
        (Outcome::Signaled(11), 1, Some(3), retry(10)),
        (Outcome::Signaled(11), 1, Some(1), failed(Reason::Signal)),
        (timed_out.clone(), 1, Some(3), retry(10)),
        (timed_out, 1, Some(1), failed(Reason::Timeout)),
        (not_found.clone(), 1, Some(3), retry(10)),
        (not_found, 1, Some(1), failed(Reason::Spawn)),
        (lost(), 1, Some(3), retry(10)),
        (lost(), 1, Some(1), failed(Reason::Lost)),
    ];
    for (outcome, charged, max, expected) in table {
        assert_eq!(
            what_follows(&policy(2), &ended(&outcome, charged, max)),
            expected,
            "{outcome:?} {charged} {max:?}"
        );
    }
}

#[test]
fn who_wanted_the_end_decides_unless_the_command_had_ended_by_itself() {
    let table = [
        (Stopped::ByHand, true, 0, Next::Finish(Verdict::Cancelled(Reason::ByHand))),
        (Stopped::ByHand, false, 0, Next::Finish(Verdict::Succeeded)),
        (Stopped::ByHand, false, 1, Next::Finish(Verdict::Cancelled(Reason::ByHand))),
        (Stopped::Replaced, true, 0, Next::Finish(Verdict::Cancelled(Reason::Replaced))),
        (Stopped::Shutdown, true, 0, Next::Requeue),
        (Stopped::Shutdown, true, 1, Next::Requeue),
        (Stopped::Shutdown, false, 0, Next::Finish(Verdict::Succeeded)),
        (Stopped::Shutdown, false, 1, Next::RetryAt(Wall::from_secs(1010))),
    ];
    for (stopped, was_struck, code, expected) in table {
        let outcome = Outcome::Exited(code);
        let ended = Ended { stopped: Some(stopped), was_struck, ..ended(&outcome, 1, Some(3)) };
        assert_eq!(what_follows(&policy(2), &ended), expected, "{stopped:?} {was_struck} {code}");
    }
    let outcome = Outcome::Signaled(15);
    let once =
        Ended { stopped: Some(Stopped::Shutdown), was_struck: true, ..ended(&outcome, 1, Some(1)) };
    assert_eq!(what_follows(&policy(0), &once), Next::Finish(Verdict::Failed(Reason::Shutdown)));
}

#[test]
fn no_retry_starts_after_give_up_after() {
    let mut policy = policy(9);
    policy.retry.give_up_after = Some(Duration::from_secs(110));
    assert_eq!(
        what_follows(&policy, &ended(&Outcome::Exited(1), 1, None)),
        Next::RetryAt(Wall::from_secs(1010))
    );
    policy.retry.give_up_after = Some(Duration::from_secs(109));
    let given_up = Next::Finish(Verdict::Failed(Reason::GiveUpAfter));
    assert_eq!(what_follows(&policy, &ended(&Outcome::Exited(1), 1, None)), given_up);
}

#[test]
fn a_keeper_lost_too_often_is_poison_and_a_job_may_refuse_to_be_retried_after_it() {
    let outcome = lost();
    let mut often = ended(&outcome, 4, None);
    often.budget.lost = LOST_MAX - 1;
    assert_eq!(what_follows(&policy(9), &often), Next::RetryAt(Wall::from_secs(1080)));
    often.budget.lost = LOST_MAX;
    assert_eq!(what_follows(&policy(9), &often), Next::Finish(Verdict::Failed(Reason::Poison)));
    let mut careful = policy(9);
    careful.retry.lost = false;
    assert_eq!(
        what_follows(&careful, &ended(&outcome, 1, None)),
        Next::Finish(Verdict::Failed(Reason::Lost))
    );
}

#[test]
fn jitter_only_shortens_by_its_share_and_is_the_same_for_the_same_attempt() {
    let retry = Retry { jitter_milli: 250, ..Retry::default() };
    for attempt in 1..200 {
        let seed = jitter_seed(7, attempt);
        let delay = retry.delay_after(1, seed);
        assert!(
            delay > Duration::from_millis(7499) && delay <= Duration::from_secs(10),
            "{delay:?}"
        );
        assert_eq!(delay, retry.delay_after(1, seed));
    }
    let distinct: std::collections::HashSet<_> =
        (1..200).map(|n| retry.delay_after(1, jitter_seed(7, n))).collect();
    assert!(distinct.len() > 100);
}

#[test]
fn runs_that_failed_together_are_not_retried_together() {
    let retry = Retry { delay: Duration::from_secs(100), jitter_milli: 1000, ..Retry::default() };
    let mut tenths = [0; 10];
    for run in 1..=1000 {
        let delay = retry.delay_after(1, jitter_seed(run, 1));
        tenths[usize::try_from(delay.as_millis().saturating_sub(1) / 10_000).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (60..140).contains(count)), "{tenths:?}");
}

#[test]
fn a_shells_word_for_a_missing_command_is_a_failed_start_unless_the_job_gave_it_a_meaning() {
    let mut policy = policy(0);
    let said = policy.outcome_of_shell(127, Some("sh: 1: foo: not found".into()));
    assert_eq!(
        said,
        Outcome::SpawnFailed { exit_code: Some(127), error: "sh: 1: foo: not found".into() }
    );
    assert_eq!(policy.outcome_of_shell(126, None).exit_code(), Some(126));
    assert!(policy.outcome_of_shell(126, None).error().is_some());
    assert_eq!(policy.outcome_of_shell(1, None), Outcome::Exited(1));
    policy.success_exit = Box::from([0, 127]);
    assert_eq!(policy.outcome_of_shell(127, None), Outcome::Exited(127));
}

#[test]
fn a_command_that_puts_itself_off_waits_a_second_and_pays_from_the_hundredth_time_on() {
    let asks = |put_off, nth, max| {
        let ended = ended(&Outcome::Exited(1), nth, max);
        let budget = Budget { put_off, ..ended.budget };
        Ended { retry_after: Some(Duration::ZERO), budget, ..ended }
    };
    let at = Wall::from_secs(1001);
    let failed = Next::Finish(Verdict::Failed(Reason::Exit));
    for (ended, next) in [
        (asks(0, 1, Some(1)), Next::PutOffTo(at)),
        (asks(99, 100, Some(100)), Next::PutOffTo(at)),
        (asks(100, 101, Some(101)), failed),
        (asks(100, 101, Some(102)), Next::RetryAt(at)),
        (asks(100, 101, None), Next::RetryAt(at)),
    ] {
        assert_eq!(what_follows(&policy(0), &ended), next, "{ended:?}");
    }
}

#[test]
fn a_command_may_put_itself_off_uncharged_and_within_its_time() {
    let asks = |outcome, secs| Ended {
        retry_after: Some(Duration::from_secs(secs)),
        ..ended(outcome, 1, Some(1))
    };
    let mut policy = policy(0);
    let at = Wall::from_secs(1030);
    assert_eq!(what_follows(&policy, &asks(&Outcome::Exited(1), 30)), Next::PutOffTo(at));
    assert_eq!(
        what_follows(&policy, &asks(&Outcome::Exited(0), 30)),
        Next::Finish(Verdict::Succeeded)
    );
    let lost = Next::Finish(Verdict::Failed(Reason::Lost));
    assert_eq!(what_follows(&policy, &asks(&Outcome::Lost, 30)), lost);
    policy.retry.give_up_after = Some(Duration::from_secs(125));
    let given_up = Next::Finish(Verdict::Failed(Reason::GiveUpAfter));
    assert_eq!(what_follows(&policy, &asks(&Outcome::Exited(1), 30)), given_up);
    assert_eq!(
        what_follows(&policy, &asks(&Outcome::Exited(1), 20)),
        Next::PutOffTo(Wall::from_secs(1020))
    );
}
