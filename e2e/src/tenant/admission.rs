//! A policy of the cluster's administrators, who refuse what the operator does in one namespace.

use anyhow::Result;

use super::Tenant;

const BINDING: &str = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding";

impl Tenant {
    /// Has the API server refuse this operation (`CREATE`, `UPDATE`, `DELETE`) on this core resource in the tenant's namespace unless
    /// all expressions hold; each with the message that it is refused with. It takes a moment to be in force.
    pub async fn refuse(
        &self,
        operation: &str,
        resource: &str,
        validations: &[(&str, &str)],
    ) -> Result<()> {
        let policy = serde_json::json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": self.name() },
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": self.name() } },
                    "resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": [resource],
                    }],
                },
                "validations": validations
                    .iter()
                    .map(|(expression, message)| serde_json::json!({ "expression": expression, "message": message }))
                    .collect::<Vec<_>>(),
            },
        });
        let binding = serde_json::json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": self.name() },
            "spec": { "policyName": self.name(), "validationActions": ["Deny"] },
        });
        self.apply(&policy.to_string()).await?;
        self.apply(&binding.to_string()).await?;
        Ok(())
    }

    /// Ends what [`refuse`](Self::refuse) began, which takes a moment as well.
    pub async fn refuse_no_more(&self) -> Result<()> {
        self.delete(BINDING, self.name()).await
    }
}
