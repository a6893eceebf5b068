# SPDX-License-Identifier: Apache-2.0
"""What scenarios are made of: programs, a small world of server, agent and gate, API lines, TLS probes."""
