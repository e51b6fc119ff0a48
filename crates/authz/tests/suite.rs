//! What the crate promises, by its public face: documents that are read and refused, conditions, decisions.

#[path = "suite/acls.rs"]
mod acls;
#[path = "suite/conditions.rs"]
mod conditions;
#[path = "suite/documents.rs"]
mod documents;
#[path = "suite/explanations.rs"]
mod explanations;
#[path = "suite/hostile.rs"]
mod hostile;
#[path = "suite/public.rs"]
mod public;
#[path = "suite/reference.rs"]
mod reference;
#[path = "suite/resource_policies.rs"]
mod resource_policies;
#[path = "suite/roles.rs"]
mod roles;
#[path = "suite/single_account.rs"]
mod single_account;
#[path = "suite/world.rs"]
mod world;
