#ifndef TESTS_LIB_CERTS_H
#define TESTS_LIB_CERTS_H

/*
 * A directory with certificates that throw-away servers use, made once per process:
 *
 *	ca.pem               the authority, that clients trust
 *	srv.key              the key of all certificates below
 *	good.pem             localhost and 127.0.0.1
 *	wrong.pem            other.example
 *	self.pem             localhost, signed by itself instead of the authority
 *	alice.pem admin.pem  clients of that name
 */
const char *certs_dir(void);

#endif
