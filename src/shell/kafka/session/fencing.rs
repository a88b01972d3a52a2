//! After brokers fenced our transactional id: look for another process that has it; if there is none, take it back later.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::Session;
use crate::config::GroupProtocol;
use crate::deliver::{Backoff, SessionError};
use crate::shell::kafka::native;

/// What we know of a process that may have our transactional id.
#[derive(Default)]
pub(super) struct Fencing {
    /// How often brokers fenced us lately although no other process was seen, and when they did last.
    times: Cell<(u32, Option<Instant>)>,
    /// The member that seems to have our id, and since when.
    rival: RefCell<Option<(native::GroupMember, Instant)>>,
}

/// The session timeout of a group of the new protocol, unless the brokers are configured otherwise.
const BROKERS_SESSION: Duration = Duration::from_secs(45);

/// If we were not fenced for this long, the next time counts as the first.
const FENCINGS_OVER: Duration = Duration::from_secs(120);

/// How long to wait before we take back an id that no other process is seen to have: not at all the first time, then longer each
/// time. Two processes with one name that do not see each other must not take turns.
const TAKE_BACK: Backoff =
    Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(20) };

impl Session {
    /// Brokers fence a process that is too slow, and one whose id another process took. So fencing is a failure like any
    /// other, until another process is seen.
    pub(super) fn fenced<T>(&self, result: Result<T, SessionError>) -> Result<T, SessionError> {
        let Err(SessionError::Fenced { id, reason }) = result else { return result };
        let seen = match self.look_for_rival(&id) {
            Err(fenced @ SessionError::Fenced { .. }) => return Err(fenced),
            Err(error) => {
                format!("whether another process of our name is there is not known: {error}")
            }
            Ok(Some(rival)) => format!("{rival} is a member of group {} too", self.group),
            Ok(None) => format!("no other process of our name is seen in group {}", self.group),
        };
        let (times, last) = self.fencing.times.get();
        let recent = last.is_some_and(|at| at.elapsed() < FENCINGS_OVER);
        self.fencing.times.set((if recent { times + 1 } else { 1 }, Some(Instant::now())));
        let reason = format!(
            "the brokers take nothing more under transactional id {id} ({reason}), as after a transaction that \
             lasted longer than transaction_timeout_ms; {seen}"
        );
        Err(SessionError::Transaction { step: "transaction", reason })
    }

    /// A member of our group that has our name and does not belong to this process. A process that was killed can be
    /// there too, or a member of ours whose join we did not see. So it counts as alive only when it is there for
    /// longer than the group keeps a dead member.
    ///
    /// # Errors
    /// `Fenced` if it is alive; another error if the brokers do not answer.
    pub(super) fn look_for_rival(
        &self,
        id: &str,
    ) -> Result<Option<native::GroupMember>, SessionError> {
        self.step("looking for another process of our name");
        let members = &self.clients.members;
        members.know(self.consumer().client());
        let client_id = self.clients.client_id(&self.role);
        let found = members.rival(self.consumer().client(), &self.group, &client_id)?;
        let mut known = self.fencing.rival.borrow_mut();
        let since = match (&*known, &found) {
            (Some((before, since)), Some(now)) if before.id == now.id => *since,
            _ => Instant::now(),
        };
        *known = found.clone().map(|rival| (rival, since));
        match found {
            Some(rival) if since.elapsed() >= self.dead_after() => {
                let reason = format!("{rival} is a member of group {}", self.group);
                Err(SessionError::Fenced { id: id.to_owned(), reason })
            }
            found => Ok(found),
        }
    }

    /// How long a group keeps a dead member.
    pub(super) fn dead_after(&self) -> Duration {
        let kafka = self.clients.kafka();
        let session = match kafka.group_protocol {
            GroupProtocol::Classic => kafka.session_timeout,
            GroupProtocol::Consumer => kafka.session_timeout.max(BROKERS_SESSION),
        };
        session + session / 4
    }

    /// Fails while it is too early to take back an id that the brokers fenced.
    pub(super) fn check_take_back(&self) -> Result<(), SessionError> {
        let (times, Some(last)) = self.fencing.times.get() else { return Ok(()) };
        let what = "take the transactional id back";
        if self.fencing.rival.borrow().is_some() {
            let id = self.clients.transactional_prefix() + &self.role;
            if let Some(rival) = self.look_for_rival(&id)? {
                let reason = format!("{rival} may have it; that shows in {:?}", self.dead_after());
                return Err(SessionError::Exchange { what, reason });
            }
        }
        let pause = TAKE_BACK.after(times.saturating_sub(1));
        if last.elapsed() >= pause {
            return Ok(());
        }
        let reason = format!("fenced {times} times; it is taken back after {pause:?}");
        Err(SessionError::Exchange { what, reason })
    }
}
