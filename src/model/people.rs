//! Who may do what: people, roles, permissions, and where a role counts.

use serde::{Deserialize, Serialize};

use super::{EnvironmentId, UserName};
use crate::clock::Timestamp;

/// A person, or a program that acts as one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The sign-in name; unique, never changed.
    pub name: UserName,
    /// The roles the person holds, and where.
    pub roles: Vec<RoleAssignment>,
    /// A disabled person can't sign in, and their keys don't work.
    pub disabled: bool,
    /// When the person was added.
    pub created_at: Timestamp,
    /// Does signing in need a code of an authenticator app, besides the password?
    #[serde(default)]
    pub second_factor: bool,
}

/// A role, account-wide or in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleAssignment {
    /// The role.
    pub role: Role,
    /// Where it counts; everywhere if none is named.
    pub environment: Option<EnvironmentId>,
}

/// The built-in roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Sees and decides access requests.
    Approver,
    /// Reads the audit log.
    Auditor,
    /// Asks for cloud services.
    Developer,
}

/// What a person may do. The names are those of the REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Permission {
    /// See all access requests, approve, deny, revoke and archive them.
    #[serde(rename = "access_requests.manage")]
    AccessRequestsManage,
    /// Read the audit log.
    #[serde(rename = "audit.read")]
    AuditRead,
    /// Ask for cloud services in an environment.
    #[serde(rename = "cloud_services.request")]
    CloudServicesRequest,
    /// Add, change and remove real cloud credentials.
    #[serde(rename = "credentials.manage")]
    CredentialsManage,
    /// Add, change and remove environments.
    #[serde(rename = "environments.manage")]
    EnvironmentsManage,
    /// Add, change and remove policy groups.
    #[serde(rename = "policies.manage")]
    PoliciesManage,
    /// Add people, give roles, disable; and the installation's settings.
    #[serde(rename = "users.manage")]
    UsersManage,
}

impl Permission {
    /// Every permission there is.
    pub const ALL: [Self; 7] = [
        Self::AccessRequestsManage,
        Self::AuditRead,
        Self::CloudServicesRequest,
        Self::CredentialsManage,
        Self::EnvironmentsManage,
        Self::PoliciesManage,
        Self::UsersManage,
    ];

    /// The name in the REST API: `access_requests.manage`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessRequestsManage => "access_requests.manage",
            Self::AuditRead => "audit.read",
            Self::CloudServicesRequest => "cloud_services.request",
            Self::CredentialsManage => "credentials.manage",
            Self::EnvironmentsManage => "environments.manage",
            Self::PoliciesManage => "policies.manage",
            Self::UsersManage => "users.manage",
        }
    }
}

impl Role {
    /// Every role there is.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Approver, Self::Auditor, Self::Developer];

    /// The name in the REST API: `developer`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Developer => "developer",
        }
    }

    /// What the role allows.
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Admin => &Permission::ALL,
            Self::Approver => &[Permission::AccessRequestsManage],
            Self::Auditor => &[Permission::AuditRead],
            Self::Developer => &[Permission::CloudServicesRequest],
        }
    }
}

impl User {
    /// Does the person hold `permission` in `environment` (or, with none named, account-wide)?
    ///
    /// A role given for one environment never counts account-wide, nor in another environment.
    pub fn may(&self, permission: Permission, environment: Option<&EnvironmentId>) -> bool {
        !self.disabled
            && self.roles.iter().any(|held| {
                (held.environment.is_none() || held.environment.as_ref() == environment)
                    && held.role.permissions().contains(&permission)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dora(role: Role, environment: Option<&str>) -> User {
        User {
            name: UserName::new("dora").unwrap(),
            roles: vec![RoleAssignment {
                role,
                environment: environment.map(|slug| EnvironmentId::new(slug).unwrap()),
            }],
            disabled: false,
            created_at: Timestamp::from_millis(0),
            second_factor: false,
        }
    }

    #[test]
    fn a_role_counts_only_where_it_was_given() {
        let (dev, prod) = (EnvironmentId::new("dev").unwrap(), EnvironmentId::new("prod").unwrap());
        let user = dora(Role::Developer, Some("dev"));
        assert!(user.may(Permission::CloudServicesRequest, Some(&dev)));
        assert!(!user.may(Permission::CloudServicesRequest, Some(&prod)));
        assert!(!user.may(Permission::CloudServicesRequest, None));
        assert!(!user.may(Permission::AccessRequestsManage, Some(&dev)));
        let user = dora(Role::Admin, None);
        assert!(
            Permission::ALL.iter().all(|&permission| user.may(permission, None) && user.may(permission, Some(&dev)))
        );
        assert!(!User { disabled: true, ..user }.may(Permission::AuditRead, None));
    }

    #[test]
    fn names_are_those_that_serde_writes() {
        for permission in Permission::ALL {
            assert_eq!(serde_json::to_value(permission).unwrap(), permission.name());
        }
    }
}
