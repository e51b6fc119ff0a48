//! Who may use the admin API: holders of a key that may `admin:*`.

use std::sync::Arc;

use authz::{Action, Policies, Principal, Request as Asked, Resource, decide};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use iam::{KeyIdentity, KnownKeys};
use parking_lot::RwLock;
use platform::Clock;
use sha2::{Digest, Sha256};
use sigv4::{Claim, PayloadHash, RequestParts, Rules, SigningKeys};
use tokio::sync::watch;
use types::Credential;

use crate::asked::{AskedContext, Connection};
use crate::client::SERVICE;

/// The longest body of an admin request.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthFailure {
    /// No signature, a wrong one, or one of a key without the right.
    #[error("access denied: {0}")]
    Denied(String),
    /// Whether the key may cannot be said now.
    #[error("the key cannot be looked up now; try again")]
    Unknown,
    /// The body is over 1 MiB or ended early.
    #[error("the body is too large or ended early")]
    TooLarge,
}

/// Checks the signatures of admin requests.
#[derive(Debug)]
pub struct AdminAuthenticator {
    credentials: watch::Receiver<Arc<[Credential]>>,
    /// Of users; `None` while there is no index to know them by.
    keys: RwLock<Option<Arc<KnownKeys>>>,
    clock: Arc<dyn Clock>,
    signing_keys: SigningKeys,
}

impl AdminAuthenticator {
    /// Lets in the holders of `credentials` that may.
    pub fn new(credentials: watch::Receiver<Arc<[Credential]>>, clock: Arc<dyn Clock>) -> Self {
        Self { credentials, keys: RwLock::new(None), clock, signing_keys: SigningKeys::new() }
    }

    /// Lets in users that may, from now on.
    pub fn know(&self, keys: Arc<KnownKeys>) {
        *self.keys.write() = Some(keys);
    }

    /// Gives the request back, its body read and verified.
    ///
    /// # Errors
    /// [`AuthFailure`].
    pub(crate) async fn check(&self, request: Request, connection: Connection) -> Result<Request, AuthFailure> {
        let (head, body) = request.into_parts();
        let payload = {
            let parts = RequestParts { method: &head.method, uri: &head.uri, headers: &head.headers };
            self.verify(parts, connection).await?
        };
        let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| AuthFailure::TooLarge)?;
        match payload {
            PayloadHash::Sha256(signed) if signed == <[u8; 32]>::from(Sha256::digest(&body)) => {
                Ok(Request::from_parts(head, Body::from(body)))
            }
            _ => Err(AuthFailure::Denied("the body must be signed by its SHA-256".to_owned())),
        }
    }

    async fn verify(&self, parts: RequestParts<'_>, connection: Connection) -> Result<PayloadHash, AuthFailure> {
        let denied = |reason: &str| AuthFailure::Denied(reason.to_owned());
        let rules = Rules { service: SERVICE, region: None, version2: false };
        let now = self.clock.now();
        let claim = Claim::read(parts, &rules, now).map_err(|error| denied(&error.message))?;
        let Claim::Signed(claim) = claim else { return Err(denied("the request is not signed")) };
        // A URL covers no body, and is made to be given away.
        if claim.is_presigned() {
            return Err(denied("the request must be signed in its Authorization header"));
        }
        let root = self.root(claim.access_key_id());
        let user = if root.is_some() { None } else { self.user(claim.access_key_id()).await? };
        let (secret, principal) = match (&root, &user) {
            (Some(root), _) => (&root.secret_key, Principal::Account(&root.owner)),
            (None, Some(user)) => (user.secret(), user.principal()),
            (None, None) => return Err(denied("the access key is unknown")),
        };
        let verified = claim.verify(secret, &self.signing_keys).map_err(|error| denied(&error.message))?;
        let action = if parts.method.is_safe() { Action::AdminRead } else { Action::AdminWrite };
        let identity = user.as_deref().map(KeyIdentity::policies).unwrap_or_default();
        let boundary = user.as_deref().and_then(KeyIdentity::boundary);
        let policies = Policies { identity: &identity, boundary, ..Policies::default() };
        let context = AskedContext { connection, headers: parts.headers, now, signed_at: claim.signed_at() };
        let asked = Asked { principal, action, resource: Resource::Service, context: &context };
        let is_whole = user.as_deref().is_none_or(KeyIdentity::is_whole);
        if !is_whole || !decide(&asked, &policies).allowed {
            return Err(AuthFailure::Denied(format!("the key has no right to {}", action.name())));
        }
        Ok(verified.payload)
    }

    fn root(&self, key: &str) -> Option<Credential> {
        self.credentials.borrow().iter().find(|credential| *credential.access_key_id.0 == *key).cloned()
    }

    async fn user(&self, key: &str) -> Result<Option<Arc<KeyIdentity>>, AuthFailure> {
        let Some(keys) = self.keys.read().clone() else { return Ok(None) };
        keys.find(key).await.map_err(|error| {
            tracing::warn!(%error, "an access key could not be looked up");
            AuthFailure::Unknown
        })
    }
}
