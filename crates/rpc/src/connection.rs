//! Runs one connection: a task writes, another reads and watches whether the peer lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::MissedTickBehavior;

use crate::RpcSettings;
use crate::encoding::FrameHead;
use crate::handshake::Established;
use crate::wire::{BodyMemory, FrameReader, FrameWriter, InFrame, Outbox, SessionKeys, Taken};

/// What an end of a connection does with what comes in. Pings are answered before.
pub(crate) trait Receiver: Send {
    /// Takes a frame; an error ends the connection.
    fn receive(&mut self, frame: InFrame) -> Result<(), String>;
}

/// A connection that is not running yet.
pub(crate) struct Connection {
    reader: FrameReader,
    writer: FrameWriter,
    outbox: Arc<Outbox>,
}

impl Connection {
    pub(crate) fn new(established: Established, memory: BodyMemory, settings: &RpcSettings) -> Self {
        let Established { connection, ahead, writing, reading, .. } = established;
        let (read, write) = connection.split();
        let writing: Arc<SessionKeys> = Arc::new(writing);
        Self {
            reader: FrameReader::new(read, &ahead, Arc::new(reading), memory),
            writer: FrameWriter::new(write, Arc::clone(&writing), settings.silence_max),
            outbox: Arc::new(Outbox::new(writing)),
        }
    }

    pub(crate) fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }

    /// Runs until the connection ends; all who wait for answers are told. Says why it ended.
    pub(crate) async fn run(self, mut receiver: impl Receiver, settings: RpcSettings) -> String {
        let Self { mut reader, mut writer, outbox } = self;
        let heard = reader.heard();
        let to_write = Arc::clone(&outbox);
        let mut writing = tokio::spawn(async move {
            loop {
                match to_write.take().await {
                    Taken::Frames(frames) => {
                        if let Err(error) = writer.write(frames).await {
                            return error.to_string();
                        }
                    }
                    Taken::Closed => {
                        writer.shut_down().await;
                        return "it was closed".to_owned();
                    }
                }
            }
        });
        let reading = async {
            loop {
                let frame = match reader.next().await {
                    Ok(frame) => frame,
                    Err(error) => return error.to_string(),
                };
                let received = match frame.head {
                    FrameHead::Ping => {
                        outbox.push(&FrameHead::Pong, &[], Vec::new());
                        Ok(())
                    }
                    FrameHead::Pong => Ok(()),
                    _ => receiver.receive(frame),
                };
                if let Err(reason) = received {
                    return reason;
                }
            }
        };
        let watching = async {
            let mut ticks = tokio::time::interval(settings.keepalive);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            let (mut before, mut silent) = (heard.load(Ordering::Relaxed), std::time::Duration::ZERO);
            loop {
                ticks.tick().await;
                let now = heard.load(Ordering::Relaxed);
                if now != before {
                    (before, silent) = (now, std::time::Duration::ZERO);
                    continue;
                }
                silent += settings.keepalive;
                if silent >= settings.silence_max {
                    return "the peer is silent".to_owned();
                }
                outbox.push(&FrameHead::Ping, &[], Vec::new());
            }
        };
        let reason = tokio::select! {
            biased;
            reason = reading => reason,
            reason = watching => reason,
            ended = &mut writing => ended.unwrap_or_else(|error| error.to_string()),
        };
        outbox.close(&reason);
        // Where it still writes, it ends by itself: the outbox is closed, and a peer that takes nothing is given up.
        reason
    }
}
