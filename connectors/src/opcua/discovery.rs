//! What a server offers: its endpoints, asked for over a connection of its own before a session is opened.

use std::pin::pin;

use opcua::{
    client::{ClientConfig, SessionBuilder, transport::TransportPollResult},
    core::ResponseMessage,
    types::{
        DateTime, EndpointDescription, Error, GetEndpointsRequest, NodeId, RequestHeader,
        StatusCode,
    },
};
use tokio::select;

use super::{connector::TcpConnector, session::Connection, settings::no_certificates};
use crate::SessionError;

impl Connection<'_> {
    /// Asks the server for its endpoints, over a connection of its own.
    pub(super) async fn discover(
        self,
        config: &ClientConfig,
        connector: &TcpConnector,
    ) -> Result<Vec<EndpointDescription>, SessionError> {
        let action = "list its endpoints";
        let failed = |error: Error| match connector.take_failure() {
            Some(source) => {
                SessionError::Connect { endpoint: self.source.endpoint.clone(), source }
            }
            None => self.failed(action, &error),
        };
        let url = self.source.endpoint.as_str();
        let channel = SessionBuilder::new(config)
            .connect_to_endpoint_directly(url)
            .and_then(|builder| builder.build_channel(no_certificates()))
            .map_err(failed)?;
        let mut transport = channel.connect_no_retry(connector).await.map_err(failed)?;
        let request = GetEndpointsRequest {
            request_header: RequestHeader::new(&NodeId::null(), &DateTime::now(), 1),
            endpoint_url: url.into(),
            locale_ids: None,
            profile_uris: None,
        };
        let mut asked = pin!(channel.send(request, self.source.timeout));
        let answer = loop {
            select! {
                answer = &mut asked => break answer.map_err(failed)?,
                event = transport.poll() => {
                    if let TransportPollResult::Closed(status) = event {
                        return Err(failed(Error::new(status, "the connection was closed")));
                    }
                }
            }
        };
        match answer {
            ResponseMessage::GetEndpoints(answer)
                if answer.response_header.service_result.is_good() =>
            {
                Ok(answer.endpoints.unwrap_or_default())
            }
            ResponseMessage::GetEndpoints(answer) => {
                Err(failed(Error::new(answer.response_header.service_result, "the server refuses")))
            }
            ResponseMessage::ServiceFault(fault) => {
                Err(failed(Error::new(fault.response_header.service_result, "the server refuses")))
            }
            _ => Err(failed(Error::new(StatusCode::BadUnknownResponse, "an unexpected answer"))),
        }
    }
}
