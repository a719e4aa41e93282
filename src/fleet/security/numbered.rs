//! The table of numbered events, those of Windows: class, deciding fields and words for a subject. An event with a
//! number gets its class from its provider, number and level alone; nothing that somebody could type is looked at. In a
//! few rows, a code of Windows (an identity, a GUID, a number of a message) raises the class.

use super::{
    SecurityEvent,
    class::Class::{self, AccountChange, FailedLogin, Failure, Grant, Installation, Other, PrivilegedLogin, Tampering},
};

/// The providers of the security log. Programs may use the same numbers in other logs.
const SECURITY: &[&str] = &["Microsoft-Windows-Security-Auditing", "Microsoft-Windows-Eventlog", "Security", ""];
const CONTROL_MANAGER: &[&str] = &["Service Control Manager"];
const DEFENDER: &[&str] = &["Microsoft-Windows-Windows Defender"];
const TASKS: &[&str] = &["Microsoft-Windows-TaskScheduler"];

/// The level of a refused event.
const REFUSED: &str = "audit failure";
/// The levels of a failure where there is no audit.
const FAILED: [&str; 3] = ["error", "critical", "failure"];

/// What is known of an event by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    first: u32,
    last: u32,
    pub(super) class: Class,
    /// Its class if it is refused.
    refused: Class,
    /// The fields whose values separate groups.
    pub(super) by: &'static [&'static str],
    /// How a subject names it; `None` if only the name of the class is used.
    pub(super) headline: Option<&'static str>,
    /// Whether this is the change of a group with the identity in `TargetSid`.
    pub(super) is_membership: bool,
    /// Whether Windows itself does this all the time.
    pub(super) is_upkeep: bool,
    /// The field with the name of the other machine, if it is not one of the usual ones.
    pub(super) workstation: Option<&'static str>,
    /// The codes that raise the class.
    raised: Option<Raised>,
}

/// Raises the class of an event by a code in one of its fields.
#[derive(Debug, Clone, Copy)]
struct Raised {
    field: &'static str,
    /// It contains one of these, in any case.
    codes: &'static [&'static str],
    class: Class,
    headline: &'static str,
}

const fn row(first: u32, last: u32, class: Class) -> Row {
    let refused = if matches!(class, FailedLogin) { FailedLogin } else { Failure };
    Row {
        first,
        last,
        class,
        refused,
        by: &[],
        headline: None,
        is_membership: false,
        is_upkeep: false,
        workstation: None,
        raised: None,
    }
}

const fn one(id: u32, class: Class) -> Row {
    row(id, id, class)
}

impl Row {
    const fn by(self, by: &'static [&'static str]) -> Self {
        Self { by, ..self }
    }

    const fn says(self, headline: &'static str) -> Self {
        Self { headline: Some(headline), ..self }
    }

    const fn refused(self, refused: Class) -> Self {
        Self { refused, ..self }
    }

    const fn membership(self) -> Self {
        Self { is_membership: true, by: &["TargetSid"], headline: Some("member added to a group"), ..self }
    }

    const fn upkeep(self) -> Self {
        Self { is_upkeep: true, ..self }
    }

    const fn workstation(self, field: &'static str) -> Self {
        Self { workstation: Some(field), ..self }
    }

    const fn raised(
        self,
        field: &'static str,
        codes: &'static [&'static str],
        class: Class,
        headline: &'static str,
    ) -> Self {
        Self { raised: Some(Raised { field, codes, class, headline }), ..self }
    }
}

/// Rights of the directory that read all passwords: the three of its replication.
const REPLICATION: &[&str] = &[
    "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2",
    "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2",
    "89e95b76-444d-4c62-991a-0facbeda640c",
];
/// Attributes of the directory by which somebody can act for others. Their names are fixed by the schema.
const POWERFUL: &[&str] = &[
    "msds-keycredentiallink",
    "msds-allowedtoactonbehalfofotheridentity",
    "msds-allowedtodelegateto",
    "ntsecuritydescriptor",
    "sidhistory",
    "gpcmachineextensionnames",
    "gpcuserextensionnames",
];
/// Changes of an account by which it can be attacked or act for others: password not required, passwords stored
/// reversibly, trusted for delegation, no pre-authentication, trusted to delegate.
const WEAKENING: &[&str] = &["%%2082", "%%2091", "%%2093", "%%2096", "%%2098"];

/// The rows of the security log, by number.
const ROWS: &[Row] = &[
    one(512, Other),
    one(517, Tampering).says("security log cleared"),
    one(528, Other).by(&["Logon Type"]),
    row(529, 537, FailedLogin),
    one(539, FailedLogin),
    one(540, Other),
    one(576, PrivilegedLogin),
    one(624, Grant).says("account created"),
    one(644, FailedLogin).says("account locked out"),
    one(1100, Other),
    one(1101, Tampering).says("security events lost"),
    one(1102, Tampering).says("security log cleared"),
    one(1104, Tampering).says("security log full"),
    one(1108, Failure),
    one(4616, Other).by(&["ProcessName"]),
    one(4618, Grant).says("monitored pattern occurred"),
    one(4621, Tampering).says("halted system recovered"),
    one(4624, Other).by(&["LogonType"]),
    one(4625, FailedLogin).by(&["SubStatus", "Status", "LogonType"]),
    one(4634, Other).by(&["LogonType"]),
    one(4648, Other).by(&["ProcessName"]),
    one(4649, FailedLogin),
    one(4656, Other).by(&["ObjectType", "ProcessName"]),
    one(4657, Other).by(&["ObjectName", "ObjectValueName"]),
    one(4658, Other).by(&["ProcessName"]),
    one(4660, Other).by(&["ProcessName"]),
    one(4661, Other).by(&["ObjectType"]),
    one(4662, Other).by(&["ObjectType", "AccessMask"]).raised(
        "Properties",
        REPLICATION,
        Grant,
        "replication of all passwords requested",
    ),
    one(4663, Other).by(&["ObjectType", "ProcessName"]),
    one(4670, Other).by(&["ObjectType", "ProcessName"]),
    one(4672, PrivilegedLogin),
    one(4673, Other).by(&["Service", "ProcessName"]),
    one(4674, Other).by(&["ObjectType", "ProcessName"]),
    one(4675, Failure),
    one(4688, Other).by(&["NewProcessName"]),
    one(4689, Other).by(&["ProcessName"]),
    one(4692, Other),
    one(4697, Installation).by(&["ServiceName"]).says("service installed"),
    one(4698, Installation).by(&["TaskName"]).says("scheduled task created"),
    row(4699, 4701, Other).by(&["TaskName"]),
    one(4702, Installation).by(&["TaskName"]).says("scheduled task changed").upkeep(),
    one(4703, Other).by(&["ProcessName"]),
    one(4704, Grant).by(&["TargetSid", "PrivilegeList"]).says("user right assigned"),
    one(4705, AccountChange),
    one(4706, Grant).says("trust of a domain created"),
    one(4707, AccountChange),
    one(4709, Other),
    one(4710, Tampering).says("IPsec service switched off"),
    row(4713, 4714, Grant).says("policy of the domain changed"),
    one(4715, Tampering).says("audit policy changed"),
    one(4716, Grant).says("trust of a domain changed"),
    one(4717, Grant).by(&["TargetSid", "AccessGranted"]).says("logon right granted"),
    one(4718, AccountChange),
    one(4719, Tampering).by(&["SubcategoryGuid", "AuditPolicyChanges"]).says("audit policy changed"),
    one(4720, Grant).says("account created"),
    one(4722, Grant).says("account enabled"),
    one(4723, AccountChange),
    one(4724, Grant).says("password reset"),
    row(4725, 4726, AccountChange),
    one(4727, AccountChange),
    one(4728, Grant).membership(),
    row(4729, 4731, AccountChange),
    one(4732, Grant).membership(),
    row(4733, 4735, AccountChange),
    one(4737, AccountChange),
    one(4738, AccountChange).raised("UserAccountControl", WEAKENING, Grant, "protection of an account weakened"),
    one(4739, Grant).says("policy of the domain changed"),
    one(4740, FailedLogin).says("account locked out").workstation("TargetDomainName"),
    one(4741, Grant).says("computer account created"),
    one(4742, AccountChange).raised("UserAccountControl", WEAKENING, Grant, "protection of an account weakened"),
    row(4743, 4755, AccountChange),
    one(4756, Grant).membership(),
    row(4757, 4764, AccountChange),
    row(4765, 4766, Grant).says("former identity added to an account"),
    one(4767, AccountChange),
    one(4768, Other).refused(FailedLogin).by(&["Status"]),
    one(4769, Other).by(&["Status", "TicketEncryptionType"]),
    one(4770, Other),
    one(4771, FailedLogin).by(&["Status"]),
    one(4772, FailedLogin).by(&["FailureCode"]),
    one(4773, Failure).by(&["FailureCode"]),
    one(4775, Failure),
    one(4776, Other).refused(FailedLogin).by(&["Status"]),
    one(4777, FailedLogin).by(&["Status"]),
    one(4780, AccountChange),
    one(4781, Grant).says("account renamed"),
    one(4782, Grant).says("password hash read"),
    one(4793, Other),
    one(4794, Grant).says("restore password of the directory set"),
    one(4797, Other),
    row(4798, 4799, Other).by(&["CallerProcessName"]),
    one(4816, Failure),
    one(4817, Other),
    one(4825, Failure),
    one(4864, Failure),
    row(4865, 4867, Grant).says("trusted forest changed"),
    one(4870, AccountChange),
    one(4882, Grant).says("rights of the certificate authority changed"),
    one(4885, Tampering).says("audit of the certificate authority changed"),
    row(4888, 4889, Failure),
    row(4890, 4892, Grant).says("certificate authority changed"),
    one(4896, Tampering).says("rows of the certificate authority deleted"),
    row(4897, 4900, Grant).says("certificate template changed"),
    one(4904, Other).by(&["AuditSourceName"]),
    one(4905, Other).by(&["AuditSourceName"]),
    one(4906, Tampering).says("audit policy changed"),
    one(4907, Other).by(&["ProcessName"]),
    one(4908, Tampering).says("table of special groups changed"),
    one(4912, Tampering).says("audit policy of a user changed"),
    one(4946, Other),
    one(4950, Tampering).by(&["SettingType", "SettingValue"]).says("firewall setting changed"),
    row(4960, 4963, Failure),
    one(4964, PrivilegedLogin),
    one(5025, Tampering).says("firewall stopped"),
    row(5027, 5032, Failure),
    one(5034, Tampering).says("firewall driver stopped"),
    row(5035, 5037, Tampering).says("firewall failed"),
    one(5038, Failure),
    row(5058, 5061, Other).by(&["Operation"]),
    one(5124, Tampering).says("setting of the certificate responder changed"),
    one(5136, Other).by(&["AttributeLDAPDisplayName", "OperationType"]).raised(
        "AttributeLDAPDisplayName",
        POWERFUL,
        Grant,
        "rights in the directory changed",
    ),
    row(5137, 5139, Other).by(&["ObjectClass"]),
    one(5140, Other).by(&["ShareName"]),
    one(5141, Other).by(&["ObjectClass"]),
    row(5142, 5144, Other).by(&["ShareName"]),
    one(5145, Other).by(&["ShareName"]),
    row(5148, 5149, Failure),
    row(5150, 5158, Other).by(&["Application", "Direction"]),
    row(5376, 5377, Grant).says("stored credentials backed up or restored"),
    one(5379, Other).by(&["ReadOperation"]),
    one(6145, Failure),
    row(6273, 6274, FailedLogin).by(&["ReasonCode"]).workstation("ClientName"),
    row(6276, 6277, Failure),
    one(6279, FailedLogin).says("account locked out"),
    one(6281, Failure),
    one(6416, Other).by(&["DeviceDescription"]),
    row(6419, 6424, Other).by(&["DeviceDescription"]),
];

/// The rows of other providers.
const OTHERS: &[(&[&str], &[Row])] = &[
    (&["Microsoft-Windows-Eventlog"], &[one(104, Tampering).by(&["Channel"]).says("log cleared"), one(1105, Other)]),
    (CONTROL_MANAGER, &[one(7045, Installation).by(&["ServiceName"]).says("service installed")]),
    (
        TASKS,
        &[
            one(106, Installation).by(&["TaskName"]).says("scheduled task created"),
            one(140, Installation).by(&["TaskName"]).says("scheduled task changed").upkeep(),
        ],
    ),
    (
        DEFENDER,
        &[
            row(1006, 1008, Tampering).says("malware found"),
            one(1015, Tampering).says("malware found"),
            row(1116, 1119, Tampering).says("malware found"),
            one(5001, Tampering).says("virus protection switched off"),
            one(5010, Tampering).says("virus protection switched off"),
            one(5012, Tampering).says("virus protection switched off"),
            one(5013, Tampering).says("virus protection tampered with"),
        ],
    ),
];

/// What a number says about an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered {
    pub(super) class: Class,
    /// Its row, if the number is known.
    pub(super) row: Option<&'static Row>,
    /// How a subject names it.
    pub(super) headline: Option<&'static str>,
}

/// What the number and the level of an event say.
pub(super) fn numbered(event: &SecurityEvent, id: u32) -> Numbered {
    let refused = event.level == REFUSED;
    let Some(row) = find(&event.source, id) else {
        let failed = refused || FAILED.contains(&event.level.as_str());
        return Numbered { class: if failed { Failure } else { Other }, row: None, headline: None };
    };
    if refused {
        return Numbered { class: row.refused, row: Some(row), headline: None };
    }
    let raised = row.raised.filter(|raised| {
        let value = field(event, raised.field).unwrap_or_default().to_ascii_lowercase();
        raised.codes.iter().any(|code| value.contains(code))
    });
    let (class, headline) = raised.map_or((row.class, row.headline), |raised| (raised.class, Some(raised.headline)));
    Numbered { class, row: Some(row), headline }
}

fn find(provider: &str, id: u32) -> Option<&'static Row> {
    let others = OTHERS.iter().filter(|(providers, _)| providers.contains(&provider)).flat_map(|(_, rows)| *rows);
    let found = others.into_iter().find(|row| (row.first..=row.last).contains(&id));
    if found.is_some() || !SECURITY.contains(&provider) {
        return found;
    }
    let at = ROWS.partition_point(|row| row.last < id);
    ROWS.get(at).filter(|row| row.first <= id)
}

/// A data field that is not empty. Windows writes `-` for empty ones.
pub(super) fn field<'a>(event: &'a SecurityEvent, name: &str) -> Option<&'a str> {
    let (_, value) = event.data.iter().find(|(field, _)| field == name)?;
    (!value.is_empty() && value != "-").then_some(value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_in_order_and_do_not_overlap() {
        assert!(ROWS.iter().all(|row| row.first <= row.last));
        assert!(ROWS.is_sorted_by(|one, next| one.last < next.first));
    }
}
