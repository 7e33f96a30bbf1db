; Parallel gateways by DNS: one name with an address for each gateway. SAP CRM uses http://ici.example.com:8080.
;
;   named-checkzone ici.example.com db.ici.example.com
;
; DNS does not know which gateway is Running. Clients get both addresses in turn, so use this for clients that try the
; next address when one refuses, or with a name server that removes the addresses of gateways that do not answer 200 at
; /sap/wdisp/admin/publicicp/show_init_statepub.icp. Otherwise put an L4 balancer or a moving address in front.
; Before you stop a gateway, remove its address and wait for the TTL and for the caches of the clients.

$ORIGIN ici.example.com.
$TTL 5
@       3600 IN SOA  ns.example.com. hostmaster.example.com. ( 1 3600 600 86400 5 )
@       3600 IN NS   ns.example.com.
@            IN A    10.0.1.11
@            IN A    10.0.1.12
; One name per gateway, for operators and monitoring.
gateway-1    IN A    10.0.1.11
gateway-2    IN A    10.0.1.12
