package main

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"software.sslmate.com/src/go-pkcs12"
)

// Helpers for certificates and keys with the names and the meaning that External Secrets gives them.
func init() {
	helpers["pkcs12keyPass"] = storedKey
	helpers["pkcs12key"] = func(store string) (string, error) { return storedKey("", store) }
	helpers["pkcs12certPass"] = storedCertificates
	helpers["pkcs12cert"] = func(store string) (string, error) { return storedCertificates("", store) }
	helpers["fullPemToPkcs12Pass"] = newStore
	helpers["fullPemToPkcs12"] = func(chain, key string) (string, error) { return newStore(chain, key, "") }
	helpers["trusted"] = trusted
	helpers["filterPEM"] = filterPem
	helpers["certSANs"] = names
	helpers["jwkPublicKeyPem"] = publicKey
	helpers["jwkPrivateKeyPem"] = privateKey
}

func block(label string, bytes []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: bytes}))
}

func storedKey(password, store string) (string, error) {
	key, _, _, err := pkcs12.DecodeChain([]byte(store), password)
	if err != nil {
		return "", err
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(key)
	return block("PRIVATE KEY", bytes), err
}

func storedCertificates(password, store string) (string, error) {
	_, leaf, others, err := pkcs12.DecodeChain([]byte(store), password)
	if err != nil {
		return "", err
	}
	text := block("CERTIFICATE", leaf.Raw)
	for _, other := range others {
		text += block("CERTIFICATE", other.Raw)
	}
	return text, nil
}

// trusted lists the subjects in a store of certificates to trust.
func trusted(password, store string) ([]string, error) {
	certificates, err := pkcs12.DecodeTrustStore([]byte(store), password)
	var subjects []string
	for _, one := range certificates {
		subjects = append(subjects, one.Subject.CommonName)
	}
	return subjects, err
}

func parsed(text string) (found []*x509.Certificate, err error) {
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	if len(found) == 0 {
		return nil, errors.New("no certificate")
	}
	return found, nil
}

func newStore(chain, key, password string) (string, error) {
	certificates, err := parsed(chain)
	if err != nil {
		return "", err
	}
	decoded, _ := pem.Decode([]byte(key))
	if decoded == nil {
		return "", errors.New("no key")
	}
	var private any
	if private, err = x509.ParsePKCS8PrivateKey(decoded.Bytes); err != nil {
		var short *ecdsa.PrivateKey
		if short, err = x509.ParseECPrivateKey(decoded.Bytes); err != nil {
			return "", err
		}
		private = short
	}
	store, err := pkcs12.Modern.Encode(private, certificates[0], certificates[1:], password)
	return base64.StdEncoding.EncodeToString(store), err
}

func filterPem(label, text string) (string, error) {
	kept, any := "", false
	rest := []byte(text)
	for {
		var found *pem.Block
		if found, rest = pem.Decode(rest); found == nil {
			break
		}
		any = true
		if strings.EqualFold(found.Type, label) {
			kept += block(found.Type, found.Bytes)
		}
	}
	if !any && text != "" {
		return "", errors.New("no PEM")
	}
	return kept, nil
}

func names(text string) (all []string, err error) {
	certificates, err := parsed(text)
	if err != nil {
		return nil, err
	}
	one := certificates[0]
	all = append(all, one.DNSNames...)
	for _, address := range one.IPAddresses {
		all = append(all, address.String())
	}
	all = append(all, one.EmailAddresses...)
	for _, uri := range one.URIs {
		all = append(all, uri.String())
	}
	return all, nil
}

func webKey(text string) (raw any, err error) {
	key, err := jwk.ParseKey([]byte(text))
	if err != nil {
		return nil, err
	}
	err = key.Raw(&raw)
	return raw, err
}

func publicKey(text string) (string, error) {
	key, err := webKey(text)
	if err != nil {
		return "", err
	}
	bytes, err := x509.MarshalPKIXPublicKey(key)
	return block("PUBLIC KEY", bytes), err
}

func privateKey(text string) (string, error) {
	key, err := webKey(text)
	if err != nil {
		return "", err
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(key)
	return block("PRIVATE KEY", bytes), err
}
