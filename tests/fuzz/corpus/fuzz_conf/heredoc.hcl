a = <<EOF
x
EOF
