#!/bin/sh
# Standby gateways with one address in a Pacemaker cluster. Run it once, on one node, where `pcs status` shows both:
#
#   ICI_ADDRESS=10.0.1.10 ICI_NETMASK=24 sh cluster.sh
#
# The gateway runs on every node, by its systemd unit (which must not be enabled: the cluster starts it). The address is on a
# node whose gateway says Running, and stays where it is while none does. Gateways agree on who is where through Redis, so
# nothing is lost with the address but the requests under way in a host that died.
#
# On every node before that:
#   install -D -m 755 ici-gateway-state /usr/lib/ocf/resource.d/ici/state
#
# Fencing is the cluster's own business. For this service alone it is not needed: two nodes that both think they hold the
# address confuse ARP, but never split an agent.
set -eu

address=${ICI_ADDRESS:?the address that SAP CRM is given, such as 10.0.1.10}
netmask=${ICI_NETMASK:-24}

# Stopping takes up to lifecycle.shutdownTimeout (90 s); the unit allows 120 s.
pcs resource create ici-gateway systemd:ici-gateway \
  op start timeout=60s op stop timeout=130s op monitor interval=10s timeout=20s \
  meta migration-threshold=1000 failure-timeout=60s \
  clone interleave=true

# Writes what the state URL says into the node attribute ici-gateway-running.
pcs resource create ici-gateway-state ocf:ici:state \
  op start timeout=10s op stop timeout=10s op monitor interval=1s timeout=5s \
  clone interleave=true

pcs resource create ici-address ocf:heartbeat:IPaddr2 ip="$address" cidr_netmask="$netmask" \
  op monitor interval=5s \
  meta resource-stickiness=100

# Stronger than the stickiness where another node is Running, and no node is forbidden where none is.
pcs constraint location ici-address rule score=1000 ici-gateway-running eq 1
