#include "tests/lib/certs.h"

#include <stddef.h>

#include "tests/lib/proc.h"
#include "tests/lib/support.h"

const char *certs_dir(void)
{
	static const char script[] =
		"k='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
		"sign() { openssl req -new -key srv.key -subj \"/CN=$2\" -out $1.csr\n"
		" printf 'subjectAltName=%s\\n' \"$3\" >$1.ext\n"
		" openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -set_serial $4 \\\n"
		"  -days 30 -extfile $1.ext -out $1.pem; }\n"
		"set -e\n"
		"openssl req -x509 $k -days 30 -keyout ca.key -out ca.pem -subj '/CN=test CA' \\\n"
		" -addext keyUsage=critical,keyCertSign,cRLSign\n"
		"openssl req -x509 $k -days 30 -keyout srv.key -out self.pem \\\n"
		" -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1\n"
		"sign good localhost DNS:localhost,IP:127.0.0.1 1\n"
		"sign wrong other.example DNS:other.example 2\n"
		"sign alice alice email:alice@localhost 3\n"
		"sign admin admin email:admin@localhost 4\n";
	static const char *dir;
	struct proc_opts opts = { 0 };
	struct proc_result res;

	if (dir)
		return dir;
	opts.dir = tmp_dir();
	proc_runl(&res, &opts, "sh", "-c", script, NULL);
	if (res.status != 0)
		test_die("openssl could not make certificates:\n%s", buf_str(&res.err));
	proc_result_release(&res);
	dir = opts.dir;
	return dir;
}
