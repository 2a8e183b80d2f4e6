//! Set-up of programs that know S3 alone, for access that covers it.

use super::{CA, SECRET, Snippet, Values};

impl Values<'_> {
    /// With `AWS_CA_BUNDLE` set, rclone ends before its first call, whatever else it is given.
    pub(super) fn rclone(&self) -> Snippet {
        let Self { endpoint, profile, region, .. } = self;
        let (fetch, keys) = (self.fetch_ca(), self.key_variables());
        let code = format!(
            "{fetch}rclone config create {profile} s3 provider=AWS env_auth=true region={region}\n\
             export HTTPS_PROXY={endpoint}\nexport RCLONE_CA_CERT=\"{CA}\"\n{keys}unset AWS_CA_BUNDLE\n\
             rclone lsd {profile}:\n"
        );
        let about = "For S3. It takes the CA in a variable of its own, and stops at once where AWS_CA_BUNDLE is set.";
        Snippet::new("rclone", "rclone", about, code)
    }

    /// s3cmd reads no proxy from the environment.
    pub(super) fn s3cmd(&self) -> Snippet {
        let Self { endpoint, key, region, .. } = self;
        let (host, port) = endpoint.trim_start_matches("http://").rsplit_once(':').unwrap_or((endpoint, "3128"));
        let fetch = self.fetch_ca();
        let code = format!(
            "{fetch}(umask 077 && cat > \"$HOME/.csg/s3cmd.conf\") <<END\n\
             [default]\naccess_key = {key}\nsecret_key = {SECRET}\nbucket_location = {region}\n\
             host_base = s3.{region}.amazonaws.com\nhost_bucket = %(bucket)s.s3.{region}.amazonaws.com\n\
             proxy_host = {host}\nproxy_port = {port}\nca_certs_file = {CA}\nEND\n\
             s3cmd --config \"$HOME/.csg/s3cmd.conf\" ls\n"
        );
        Snippet::new("s3cmd", "s3cmd", "For S3. It reads all of it from its configuration file.", code)
    }
}
