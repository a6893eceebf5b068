# a server
server {
	bind_address = "127.0.0.1"
	bind_port = "8081"   // a comment
	trust_domain = "example.org",
	admin_ids = ["spiffe://example.org/a", "spiffe://example.org/b",]
	ratelimit { attestation = false signing = true }
	/* long
	   comment */
	ca_subject = { country = ["US"], common_name = "a \"name\" \u00e9 \U0001f600" }
}
plugins {
	KeyManager "disk" { plugin_data = { keys_path = "/k" } }
	KeyManager "memory" { plugin_data {} }
	"DataStore" "sql" { plugin_data { n = -1.5e3 } }
}
