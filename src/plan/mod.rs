//! What a verb wants from a server, without I/O.
//!
//! A [`Plan`] says which commands to send and how to read their replies, and may ask for another
//! round. The two transports drive the same plans; a plan never sees a socket, and a transport
//! never sees a verb.

mod reply;
mod strings;

use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::reply::Replies;
use self::reply::unexpected;
pub use self::reply::{Reply, ServerError};
pub use self::strings::Strings;
use crate::decimal::decimal;
use crate::error::{Error, Result};
use crate::script::{Form, Script};
use crate::store::Answer;

const WAIT: &[u8] = b"WAIT";

/// One command of a request.
#[derive(Debug, Clone)]
pub enum Command {
    /// A command and its arguments, as they are sent.
    Plain(Vec<Bytes>),
    /// A constant script on one memory.
    Script {
        /// The script.
        script: &'static Script,
        /// The memory's key.
        key: Bytes,
        /// Its arguments; where the script takes a second key, that one first.
        args: Vec<Bytes>,
    },
}

impl Command {
    /// Makes a command without a script.
    pub fn plain(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Plain(parts.into_iter().collect())
    }

    /// Visits every argument as it is sent, the command's name first.
    pub fn for_each_part(&self, form: Form, mut visit: impl FnMut(&Bytes)) {
        match self {
            Self::Plain(parts) => parts.iter().for_each(visit),
            Self::Script { script, key, args } => {
                let (name, body) = match form {
                    Form::Digest => ("EVALSHA", script.digest()),
                    Form::Source => ("EVAL", script.source()),
                };
                visit(&Bytes::from_static(name.as_bytes()));
                visit(&Bytes::from_static(body.as_bytes()));
                visit(&Bytes::from_static(script.keys().as_bytes()));
                visit(key);
                args.iter().for_each(visit);
            }
        }
    }

    /// Returns how many arguments are sent, its name among them.
    pub fn parts(&self) -> usize {
        match self {
            Self::Plain(parts) => parts.len(),
            Self::Script { args, .. } => 4 + args.len(),
        }
    }

    /// Returns how many bytes its arguments take on the wire, about.
    fn size(&self) -> usize {
        let mut size = 16;
        self.for_each_part(Form::Digest, |part| size += part.len() + 16);
        size
    }

    /// Makes the command that waits for so many replicas to have what its connection has written.
    pub(crate) fn wait(replicas: u32, time: Duration) -> Self {
        let time = decimal(time.as_millis().max(1));
        Self::plain([Bytes::from_static(WAIT), decimal(replicas), time])
    }

    fn is_wait(&self) -> bool {
        matches!(self, Self::Plain(parts) if parts.first().is_some_and(|name| name == WAIT))
    }

    fn is_script(&self) -> bool {
        matches!(self, Self::Script { .. })
    }
}

/// How each of the commands that travel together names its script.
///
/// Of several with the same script only the first one takes the text along: from then on the server
/// knows it.
#[derive(Debug)]
pub(crate) struct Forms {
    form: Form,
    told: Vec<&'static Script>,
}

impl Forms {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, told: Vec::new() }
    }

    /// Returns how the next command names its script.
    pub(crate) fn of(&mut self, command: &Command) -> Form {
        match command {
            Command::Script { script, .. } if self.form == Form::Source => {
                if self.told.iter().any(|told| std::ptr::eq(*told, *script)) {
                    return Form::Digest;
                }
                self.told.push(script);
                Form::Source
            }
            _ => Form::Digest,
        }
    }
}

/// Which server a request goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Route {
    /// The one that has the key of the request's commands; any, if they have none.
    #[default]
    Key,
    /// Every primary. There is one reply for each: its label, and its replies to the commands.
    EveryPrimary,
    /// The one with this label. If it is not what it was, each reply is the error [`GONE`].
    Server(String),
}

/// The code of the error that answers for a server that was restarted, replaced or taken out.
pub const GONE: &str = "GONE";

/// Commands that are sent together and answered one by one.
#[derive(Debug, Clone)]
pub struct Request {
    /// The commands, in order.
    pub commands: Vec<Command>,
    /// Whether the request changes what is stored, so that a lost reply leaves a doubt.
    pub writes: bool,
    /// Which server it goes to.
    pub route: Route,
}

impl Request {
    /// Makes a request that reads.
    pub fn read(commands: impl IntoIterator<Item = Command>) -> Self {
        let commands = commands.into_iter().collect();
        Self { commands, writes: false, route: Route::Key }
    }

    /// Makes a request that writes.
    pub fn write(commands: impl IntoIterator<Item = Command>) -> Self {
        let commands = commands.into_iter().collect();
        Self { commands, writes: true, route: Route::Key }
    }

    /// Returns the same request for the servers of `route`.
    #[must_use]
    pub fn on(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// Puts the answers to what was [sent again](Self::to_send_again) in the place of the first ones.
    pub fn fill_in(replies: &mut [Reply], again: &[usize], answers: Vec<Reply>) {
        for (&at, answer) in again.iter().zip(answers) {
            if let Some(reply) = replies.get_mut(at) {
                *reply = answer;
            }
        }
    }

    /// Returns how many bytes it takes on the wire, about; scripts by their digest.
    pub(crate) fn size(&self) -> usize {
        self.commands.iter().map(Command::size).sum()
    }

    /// Returns the key that all its commands with a key are about.
    pub fn key(&self) -> Option<&Bytes> {
        self.commands.iter().find_map(|command| match command {
            Command::Plain(parts) => parts.get(1),
            Command::Script { key, .. } => Some(key),
        })
    }

    /// Returns the request as a node of a cluster takes it to which the key is just moving: each
    /// command, or transaction, with `ASKING` before it.
    pub(crate) fn asking(&self) -> Self {
        let mut commands = Vec::with_capacity(self.commands.len() * 2);
        let mut in_transaction = false;
        for command in &self.commands {
            if !in_transaction {
                commands.push(Command::plain([Bytes::from_static(b"ASKING")]));
            }
            in_transaction = match command {
                Command::Plain(parts) if parts.len() == 1 => {
                    parts.first().is_some_and(|name| name == "MULTI")
                }
                _ => in_transaction,
            };
            commands.push(command.clone());
        }
        Self { commands, writes: self.writes, route: self.route.clone() }
    }

    /// Takes the replies to `ASKING` out again.
    pub(crate) fn without_asking(&self, replies: Vec<Reply>) -> Vec<Reply> {
        let is_asking = |command: &Command| matches!(command, Command::Plain(parts) if parts.first().is_some_and(|name| name == "ASKING"));
        let asked = self.commands.iter().zip(replies);
        asked.filter(|(command, _)| !is_asking(command)).map(|(_, reply)| reply).collect()
    }

    /// Returns the positions of what is to be sent again, scripts as [`Form::Source`]: those that the
    /// server did not know, and with them a `WAIT` at the end, whose answer was about what had been
    /// written before them.
    pub fn to_send_again(&self, replies: &[Reply]) -> Vec<usize> {
        let is_unknown = |(command, reply): (&Command, &Reply)| {
            command.is_script() && matches!(reply, Reply::Error(error) if error.code == "NOSCRIPT")
        };
        let pairs = self.commands.iter().zip(replies).enumerate();
        let unknown = pairs.filter(|(_, pair)| is_unknown(*pair)).map(|(at, _)| at);
        let mut again: Vec<usize> = unknown.collect();
        if !again.is_empty() && self.commands.last().is_some_and(Command::is_wait) {
            again.push(self.commands.len() - 1);
        }
        again
    }
}

/// What a plan says after it has read replies.
#[derive(Debug)]
pub enum Step {
    /// Send [`Plan::request`] again: it now asks for something else.
    Again,
    /// Of a read: send the same request again in a while, and find out meanwhile who is where. The replies
    /// do not add up to an answer; this is the error if time is up before they do.
    Later(Error),
    /// The verb is done.
    Done(Answer),
}

/// One verb on its way: asks, reads, and may ask again.
pub trait Plan: Send {
    /// Returns what to send now. Sending it twice is harmless: writes carry their identity.
    fn request(&self) -> &Request;

    /// Reads the replies to [`request`](Plan::request), one for each command.
    ///
    /// # Errors
    /// What the replies say, or that they cannot be read.
    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step>;

    /// Returns the identity by which the current request can be repeated by hand, if it has one.
    fn op_id(&mut self) -> Option<String> {
        None
    }
}

/// A plan of one round: a request, and a function that reads its replies.
pub(crate) struct Once<F> {
    request: Request,
    read: Option<F>,
}

impl<F> Once<F>
where
    F: FnOnce(Replies) -> Result<Answer> + Send + 'static,
{
    pub(crate) fn boxed(request: Request, read: F) -> Box<dyn Plan> {
        Box::new(Self { request, read: Some(read) })
    }
}

impl<F> Plan for Once<F>
where
    F: FnOnce(Replies) -> Result<Answer> + Send,
{
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let read = self.read.take().ok_or_else(|| unexpected("no reply", "one"))?;
        read(Replies::new(replies)).map(Step::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_goes_before_each_command_and_before_a_whole_transaction() {
        let plain = |parts: &[&'static str]| Command::plain(parts.iter().map(|&part| part.into()));
        let names = |request: &Request| -> Vec<String> {
            let name = |command: &Command| {
                let mut name = None;
                command.for_each_part(Form::Digest, |part| {
                    name.get_or_insert_with(|| String::from_utf8_lossy(part).into_owned());
                });
                name.unwrap()
            };
            request.commands.iter().map(name).collect()
        };
        let commands = [
            plain(&["LRANGE", "k"]),
            plain(&["MULTI"]),
            plain(&["RPUSHX", "k"]),
            plain(&["EXEC"]),
            plain(&["GET", "k"]),
        ];
        let asking = Request::write(commands).asking();
        let expected = ["ASKING", "LRANGE", "ASKING", "MULTI", "RPUSHX", "EXEC", "ASKING", "GET"];
        assert_eq!(names(&asking), expected);
        let replies = (0..8).map(Reply::Integer).collect();
        let left = [1, 3, 4, 5, 7].map(Reply::Integer);
        assert_eq!(asking.without_asking(replies), left);
    }

    #[test]
    fn the_text_of_a_script_goes_once() {
        let script =
            |script: &'static Script| Command::Script { script, key: "k".into(), args: Vec::new() };
        let commands = [
            script(&crate::script::SAVE),
            script(&crate::script::POP),
            script(&crate::script::SAVE),
        ];
        let forms = |form| {
            let mut forms = Forms::new(form);
            commands.each_ref().map(|command| forms.of(command))
        };
        assert_eq!(forms(Form::Source), [Form::Source, Form::Source, Form::Digest]);
        assert_eq!(forms(Form::Digest), [Form::Digest; 3]);
    }

    #[test]
    fn replicas_are_waited_for_after_what_was_written_last() {
        let script = Command::Script { script: &crate::script::POP, key: "k".into(), args: vec![] };
        let (push, wait) = (Command::plain(["RPUSHX".into()]), Command::wait(1, Duration::ZERO));
        let unknown = || Reply::Error(ServerError::parse("NOSCRIPT No matching script"));
        let again = |commands: &[&Command], replies: &[Reply]| {
            Request::write(commands.iter().copied().cloned()).to_send_again(replies)
        };
        let one = || Reply::Integer(1);
        assert_eq!(again(&[&push, &script, &wait], &[one(), unknown(), one()]), [1, 2]);
        assert_eq!(again(&[&script, &wait], &[unknown(), one()]), [0, 1]);
        assert_eq!(again(&[&push, &script], &[one(), unknown()]), [1]);
        assert!(again(&[&script, &wait], &[one(), one()]).is_empty());
    }

    #[test]
    fn error_lines_are_split_at_their_code() {
        let error = ServerError::parse("WRONGTYPE Operation against a key");
        assert_eq!(
            (error.code.as_str(), error.detail.as_str()),
            ("WRONGTYPE", "Operation against a key")
        );
        assert_eq!(ServerError::parse("ERR WRONGTYPE Operation").code, "WRONGTYPE");
        assert_eq!(ServerError::parse("ERR unknown command").code, "ERR");
        assert_eq!(ServerError::parse("ERR").code, "ERR");
    }

    #[test]
    fn what_ended_a_script_counts_as_if_it_were_said_without_one() {
        let lines = [
            ("@user_script:20: @user_script: 20: -OOM command not allowed", "OOM"),
            ("@user_script:17: @user_script: 17: -READONLY You can't write", "READONLY"),
            ("@user_script:3: WRONGTYPE Operation against a key", "WRONGTYPE"),
            ("@user_script:1: attempt to index a nil value", "ERR"),
            ("@user_script:1", "ERR"),
        ];
        for (rest, code) in lines {
            let line = format!("ERR Error running script (call to f_6b1b): {rest}");
            assert_eq!(ServerError::parse(&line).code, code, "{line}");
        }
        let of_redis_py = "Error running script (call to f_6b1b): @user_script:3: OOM command";
        assert_eq!(ServerError::parse(of_redis_py).code, "OOM");
        assert_eq!(ServerError::parse("ERR Error running script").code, "ERR");
    }
}
