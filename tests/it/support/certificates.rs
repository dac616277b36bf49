//! Certificates of a test's own: an authority, and what it issued for a server.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// An authority that nobody trusts who was not told of it.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names and addresses.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        self.issue_until(names, 4000)
    }

    /// One that ends with the beginning of a year.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        params.distinguished_name.push(DnType::CommonName, "a certificate of a test");
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", &self.pem);
        write("certificate.pem", &certificate);
        write("key.pem", &key.serialize_pem());
        Certificate { folder }
    }
}

/// A certificate, its key and the authority behind it, in files.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}
